# SPDX-License-Identifier: Apache-2.0
"""The process: a second server refuses, SIGTERM ends sessions in time, SIGHUP reloads, wrong options are named."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import muster


def serve(*arguments, timeout=20):
    return subprocess.run([muster.BIN, "serve", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


class Process(unittest.TestCase):
    def setUp(self):
        self.server = muster.Muster()

    def tearDown(self):
        if self.server.process.poll() is None:
            self.server.kill()
        shutil.rmtree(self.server.directory, ignore_errors=True)

    def test_a_second_server_on_the_same_port_refuses(self):
        with tempfile.TemporaryDirectory() as other:
            result = serve("--data", other, "--listen", f"127.0.0.1:{self.server.port}")
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(str(self.server.port), result.stderr)
            self.assertIn("already serves", result.stderr)
        self.assertEqual(self.server.request("GET", "/healthz")[0], 200)

    def test_a_refused_start_leaves_no_data_directory(self):
        with tempfile.TemporaryDirectory() as folder:
            data, config = os.path.join(folder, "data"), os.path.join(folder, "muster.toml")
            ports = ("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0")
            with open(config, "w") as out:
                out.write(f'[tls]\ncertificate_file = "{folder}/none.crt"\nkey_file = "{folder}/none.key"\n')
            bad_config = os.path.join(folder, "bad.toml")
            with open(bad_config, "w") as out:
                out.write("[network]\nloops = 999\n")
            for words, arguments in (
                    ("none.crt", ("--config", config, *ports)),
                    ("network.loops", ("--config", bad_config, *ports)),
                    ("nowhere", ("--store", f"sqlite:{folder}/nowhere/muster.db", *ports)),
                    ("not ADDR:PORT", ("--listen", "nonsense")),
                    ("--bogus", ("--bogus", *ports))):
                with self.subTest(words):
                    result = serve("--data", data, *arguments)
                    self.assertNotEqual(result.returncode, 0)
                    self.assertIn(words, result.stderr)
                    self.assertFalse(os.path.exists(data), os.listdir(folder))

    def test_a_second_server_on_the_same_data_refuses(self):
        result = serve("--data", self.server.directory, "--listen", "127.0.0.1:0")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("another muster", result.stderr)

    def test_sigterm_ends_sessions_and_the_process_within_10_s(self):
        self.server.set_up()
        template = self.server.new_template()
        sessions = []
        for i in range(20):
            status, connection = self.server.login(self.server.new_device(template, f"Lamp {i}")["token"], keep=True)
            self.assertEqual(status, muster.SUCCESS)
            sessions.append(connection)
        start = time.monotonic()
        self.server.process.send_signal(signal.SIGTERM)
        ends = []
        for connection in sessions:
            connection.settimeout(10)
            self.assertEqual(connection.recv(10), b"")
            ends.append(time.monotonic() - start)
            connection.close()
        self.assertEqual(self.server.process.wait(10), 0)
        self.assertLess(time.monotonic() - start, 10)
        self.assertGreater(max(ends), 0.5, "closed spread over a while, not at once")

    def test_sighup_reloads_the_configuration_and_keeps_sessions(self):
        self.server.set_up()
        device = self.server.new_device(self.server.new_template())
        status, connection = self.server.login(device["token"], keep=True)
        self.assertEqual(status, muster.SUCCESS)
        with open(os.path.join(self.server.directory, "muster.toml"), "w") as out:
            out.write("[gateway]\nlogin_deadline_ms = 500\n")
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        silent = self.server.connect()
        silent.sendall(b"\x1d\x00\x01\x00\x20")  # A login that never gets complete.
        start = time.monotonic()
        self.assertEqual(silent.recv(10), b"")
        self.assertLess(time.monotonic() - start, 4, "the new deadline holds")
        connection.sendall(muster.frame(6, 77))
        self.assertEqual(muster.read_frame(connection), (0, 77, 200))
        with open(os.path.join(self.server.directory, "muster.toml"), "w") as out:
            out.write("[gateway]\nlogin_dead = 500\n")
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertIn("unknown key gateway.login_dead", self.server.log())
        connection.sendall(muster.frame(6, 78))
        self.assertEqual(muster.read_frame(connection), (0, 78, 200))

    def test_a_restart_changes_no_status_before_the_wait_is_over(self):
        self.server.set_up()
        made = self.server.new_device(self.server.new_template())
        shown = lambda: self.server.api("GET", f"device?deviceId={made['id']}")
        self.assertEqual(shown()["status"], "CREATED")
        self.server.config = "[gateway]\noffline_wait_ms = 3000\n[network]\nshutdown_spread_ms = 100\n"
        self.server.stop(keep=True)
        self.server.start()
        for end in (lambda: self.server.stop(keep=True), self.server.kill):
            status, connection = self.server.login(made["token"], keep=True)
            self.assertEqual(status, muster.SUCCESS)
            self.assertEqual((shown()["status"], shown()["connected"]), ("ONLINE", True))
            time.sleep(1.5)  # Until presence is on disk.
            end()
            connection.close()
            start = time.monotonic()
            self.server.start()
            after = shown()
            self.assertEqual((after["status"], after["online"], after["connected"]), ("ONLINE", True, False))
            self.assertEqual(after["activatedAt"], made["activatedAt"])
            self.assertEqual(self.server.api("GET", f"device/online?deviceId={made['id']}"), {"connected": False})
            while shown()["status"] == "ONLINE":
                self.assertLess(time.monotonic() - start, 30)
                time.sleep(0.1)
            self.assertGreater(time.monotonic() - start, 3)
            self.assertEqual(shown()["status"], "OFFLINE")

    def test_a_device_is_never_redirected_to_the_server_that_it_is_on(self):
        self.server.set_up()
        device = self.server.new_device(self.server.new_template())
        for host in ("127.0.0.1", "localhost", muster.socket.gethostname(), "127.0.0.2"):
            self.server.api("PUT", "organization/device/home",
                            {"deviceId": device["id"], "host": host, "portPlain": self.server.port, "portTls": 9443})
            time.sleep(0.6)  # Until the change is followed.
            self.assertEqual(self.server.login(device["token"]), "redirect" if host == "127.0.0.2" else muster.SUCCESS, host)

    def test_wrong_options_are_named(self):
        with tempfile.TemporaryDirectory() as data:
            for arguments, words in [
                (["--data", data, "--listen", "127.0.0.1"], "ADDR:PORT"),
                (["--data", data, "--listen", "127.0.0.1:99999"], "99999"),
                (["--data", data, "--listen", "999.0.0.1:80"], "999.0.0.1"),
                (["--data", data, "--config", "/nonexistent.toml"], "/nonexistent.toml"),
                (["--data", data, "--store", "mysql://x"], "mysql"),
                (["--data", data, "--lissten", "x"], "--lissten"),
                ([], "--data"),
            ]:
                result = serve(*arguments)
                self.assertEqual(result.returncode, 2, (arguments, result.stderr))
                self.assertIn(words, result.stderr)
        with tempfile.NamedTemporaryFile() as file:
            result = serve("--data", file.name, "--listen", "127.0.0.1:0")
            self.assertEqual(result.returncode, 1)
            self.assertIn(file.name, result.stderr)

    def test_garbage_of_every_kind_leaves_the_server_up(self):
        for garbage in (b"", b"\x00" * 100, b"\xff" * 5000, b"GET", b"GET / HTTP/1.1\r\n", b"\x1d\x00\x00\x00\x20" + b"x" * 32,
                        b"\x1d\x00\x01\xff\xff" + b"x" * 70000, b"\x10\x0c\x00\x04MQTT", b"\x16\x03\x01\x00\x05hello", b"\x02\x00\x01\x00\x00"):
            connection = self.server.connect()
            try:
                connection.sendall(garbage)
                connection.shutdown(muster.socket.SHUT_WR)
                connection.settimeout(12)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
            connection.close()
        for command in range(256):
            connection = self.server.connect()
            try:
                connection.sendall(muster.frame(command, 1, b"a\0b"))
                connection.shutdown(muster.socket.SHUT_WR)
                connection.settimeout(12)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
            connection.close()
        self.assertEqual(self.server.request("GET", "/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
