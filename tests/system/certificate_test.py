# SPDX-License-Identifier: Apache-2.0
"""SIGHUP takes new certificate files: new handshakes see the new certificate, sessions live on, and files that are no good change nothing."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import muster


class Certificate(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-certificate-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.certificate, self.key = (os.path.join(self.directory, name) for name in ("server.crt", "server.key"))
        self.make("first.example")
        data = os.path.join(self.directory, "data")
        os.mkdir(data)
        self.server = muster.Muster(directory=data, config=f'[tls]\ncertificate_file = "{self.certificate}"\nkey_file = "{self.key}"\n')
        self.addCleanup(lambda: self.server.process.poll() is None and self.server.kill())
        self.tls_port = int(self.server.ready["https"].rsplit(":", 1)[1])

    def make(self, name):
        """Beside the old ones, then in their place, as tools that renew certificates do."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}", "-keyout", self.key + ".new", "-out", self.certificate + ".new"], check=True, capture_output=True)
        for path in (self.key, self.certificate):
            os.replace(path + ".new", path)

    def connect(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls_port), timeout=8))

    def name_seen(self):
        with self.connect() as connection:
            der = connection.getpeercert(binary_form=True)
        text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, check=True, capture_output=True).stdout.decode()
        return text.strip().rsplit(" ", 1)[1]

    def login(self, token):
        connection = self.connect()
        connection.sendall(muster.frame(29, 1, token.encode()))
        self.assertEqual(muster.read_frame(connection), (0, 1, muster.SUCCESS))
        return connection

    def ping(self, connection, message_id):
        connection.sendall(muster.frame(6, message_id))
        self.assertEqual(muster.read_frame(connection), (0, message_id, muster.SUCCESS))

    def test_new_handshakes_see_the_new_certificate_and_old_sessions_live_on(self):
        self.server.set_up()
        template = self.server.new_template()
        token = self.server.new_device(template)["token"]
        self.assertEqual(self.name_seen(), "first.example")
        old = self.login(token)
        self.ping(old, 2)
        self.make("second.example")
        self.assertEqual(self.name_seen(), "first.example", "nothing changes before SIGHUP")
        self.server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 5
        while self.name_seen() != "second.example":
            self.assertLess(time.monotonic(), end, "5 s after SIGHUP still the old certificate")
            time.sleep(0.05)
        self.ping(old, 3)
        new = self.login(self.server.new_device(template, "Lamp 2")["token"])
        self.ping(new, 2)

        with open(self.certificate, "w") as out:
            out.write("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
        self.server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 5
        while "certificate_not_reloaded" not in self.server.log():
            self.assertLess(time.monotonic(), end, "the log must say that the certificate is no good")
            time.sleep(0.05)
        self.assertEqual(self.name_seen(), "second.example")
        self.ping(old, 4)
        self.ping(new, 3)
        for connection in (old, new):
            connection.close()
        self.assertEqual(self.server.stop(keep=True), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
