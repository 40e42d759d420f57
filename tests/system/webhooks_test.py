# SPDX-License-Identifier: Apache-2.0
"""Webhooks against a real HTTPS receiver whose every answer fails with probability 1/3, and kill -9 while they are on their way: every
acknowledged event arrives, and whatever arrives twice carries the same id. MUSTER_WEBHOOK_DELIVERIES and MUSTER_WEBHOOK_KILLS, or the first
two arguments, set how many; the measure is 10000 and 10."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import random
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import defaultdict

import muster

DELIVERIES = int(os.environ.get("MUSTER_WEBHOOK_DELIVERIES", "300"))
KILLS = int(os.environ.get("MUSTER_WEBHOOK_KILLS", "3"))
FAST = ('[webhooks]\nrate_per_minute = 1000000\nretry_first_ms = 20\nconnections_max = 16\nconnections_per_webhook_max = 16\n'
        'allowed_networks = ["127.0.0.1"]\n')
NO_LIMITS = ('[timeline]\nevents_per_day_per_device = 0\nsame_event_apart_ms = 0\n[api]\nrequests_per_minute_per_organization = 1000000000\n')


def make_certificates(folder):
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=Test CA")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key", "-out", "server.csr",
        "-subj", "/CN=127.0.0.1")
    with open(os.path.join(folder, "names"), "w") as out:
        out.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem", "-days", "2",
        "-extfile", "names")


class Receiver:
    """Keeps what it heard by message id. `failing` is the chance that an attempt fails: half of those are heard all the same."""

    def __init__(self, folder, failing=0.0, seed=1):
        self.heard = defaultdict(list)  # id -> bodies
        self.requests = 0
        self.failing, self.random, self.lock, self.secret, self.wrong = failing, random.Random(seed), threading.Lock(), "", []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(self.headers, body)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def finish_request(self, request, address):
                context_socket = context.wrap_socket(request, server_side=True)
                self.RequestHandlerClass(context_socket, address, self)
                try:
                    context_socket.unwrap()
                except OSError:
                    pass
                context_socket.close()

            def handle_error(self, request, address):
                pass  # A client that was killed, or that does not trust us.

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, headers, body):
        with self.lock:
            self.requests += 1
            fails, heard = self.random.random() < self.failing, self.random.random() < 0.5
            if fails and not heard:
                return self.random.choice([500, 503, 302, None])
            message, stamp = headers["webhook-id"], headers["webhook-timestamp"]
            key = base64.b64decode(self.secret.removeprefix("whsec_"))
            mac = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
            if not hmac.compare_digest(headers["webhook-signature"], "v1," + base64.b64encode(mac).decode()):
                self.wrong.append(message)
            if abs(int(stamp) - time.time()) > 30:
                self.wrong.append((message, stamp))
            self.heard[message].append(body)
            return None if fails else 200

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Webhooks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="muster-hooks-")
        self.addCleanup(self.folder.cleanup)
        make_certificates(self.folder.name)

    def serve(self, config):
        server = muster.Muster(config=config)
        self.addCleanup(server.stop)
        server.set_up()
        return server

    def receiver(self, **options):
        receiver = Receiver(self.folder.name, **options)
        self.addCleanup(receiver.close)
        return receiver

    def hook(self, server, receiver, **fields):
        made = server.api("POST", "webhook/create", {"name": "W", "url": f"https://127.0.0.1:{receiver.port}/in", **fields})
        receiver.secret = made["secret"]
        return made

    def wait(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def test_nothing_is_lost_and_what_comes_twice_has_the_same_id(self):
        seed = int(os.environ.get("MUSTER_SEED", str(time.time_ns() % 10**9)))
        print(f"seed {seed} (repeat with MUSTER_SEED={seed}), {DELIVERIES} deliveries, {KILLS} kills", flush=True)
        rng = random.Random(seed)
        receiver = self.receiver(failing=1 / 3, seed=seed)
        server = muster.Muster(config=FAST + f'ca_file = "{self.folder.name}/ca.pem"\n' + NO_LIMITS)
        self.addCleanup(server.stop)
        server.set_up()
        template = server.api("POST", "template/create", {"name": "Ovens"})
        server.api("POST", "template/event/create", {"templateId": template["templateId"], "name": "Hot", "eventCode": "hot"})
        devices = [server.new_device(template["templateId"], f"Oven {i}")["id"] for i in range(10)]
        self.hook(server, receiver, trigger="PRODUCT_LOG_EVENT", templateId=template["templateId"], failAfter=1000,
                  body='{"n":"{event_description}","device":{device_id}}')
        acknowledged, unsure = set(), set()
        lock, left = threading.Lock(), iter(range(DELIVERIES))
        up = threading.Event()
        up.set()

        def log_events():
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                while True:
                    up.wait()
                    try:
                        server.api("POST", "organization/device/trigger-event",
                                   {"deviceId": devices[number % len(devices)], "code": "hot", "description": str(number)})
                        with lock:
                            acknowledged.add(str(number))
                        break
                    except (OSError, muster.http.client.HTTPException, ValueError):
                        with lock:
                            unsure.add(str(number))  # It may have been done, and is done again.
                        time.sleep(0.1)

        begun = time.monotonic()
        writers = [threading.Thread(target=log_events, daemon=True) for _ in range(4)]
        for writer in writers:
            writer.start()
        for kill in range(KILLS):
            # Spread over the whole: while events are written, and while the rest is on its way.
            wanted = DELIVERIES * (kill + 1) // (KILLS + 1)
            self.wait(lambda: len(receiver.heard) >= wanted, 600)
            time.sleep(rng.uniform(0, 0.05))
            up.clear()
            server.kill()
            server.start()
            up.set()
        for writer in writers:
            writer.join(600)
            self.assertFalse(writer.is_alive())

        def numbers():
            with receiver.lock:
                return {json.loads(bodies[0])["n"] for bodies in receiver.heard.values()}
        self.wait(lambda: acknowledged <= numbers(), 600)
        # What is still tried again has been heard already, or never will be.
        self.wait(lambda: server.metric("muster_webhook_delivered_total") > 0, 10)
        seconds = time.monotonic() - begun
        lost = acknowledged - numbers()
        twice = sum(len(bodies) - 1 for bodies in receiver.heard.values())
        by_number = defaultdict(set)
        for message, bodies in receiver.heard.items():
            self.assertEqual(len(set(bodies)), 1, message)
            by_number[json.loads(bodies[0])["n"]].add(message)
        strangers = {number for number, messages in by_number.items() if len(messages) > 1 and number not in unsure}
        print(f"{len(acknowledged)} events acknowledged, {len(lost)} lost, {receiver.requests} attempts, {twice} came again with the same id, "
              f"{len(strangers)} with another id, {KILLS} kills, {seconds:.1f} s", flush=True)
        self.assertEqual(lost, set())
        self.assertEqual(strangers, set())
        self.assertEqual(receiver.wrong, [])
        self.assertEqual(len(acknowledged), DELIVERIES)
        self.assertGreater(twice, 0)

    def test_by_default_no_request_goes_inside(self):
        receiver = self.receiver()
        server = self.serve("")
        for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"]:
            made = self.hook(server, receiver, trigger="DEVICE_ADDED")
            server.api("PUT", "webhook", {"webhookId": made["id"], "url": f"https://{host}:{receiver.port}/in"})
            delivery = server.api("POST", "webhook/test", {"webhookId": made["id"]})["id"]

            def tried():
                return server.api("GET", f"webhook/delivery?deliveryId={delivery}")["attempts"] > 0
            self.assertTrue(self.wait(tried, 10), host)
            shown = server.api("GET", f"webhook/delivery?deliveryId={delivery}")
            self.assertIn("refused", shown["lastProblem"], host)
            self.assertEqual(shown["state"], "WAITING")
        self.assertEqual(receiver.requests, 0)

    def test_a_certificate_that_is_not_trusted_ends_the_attempt(self):
        receiver = self.receiver()
        server = muster.Muster(config=FAST)
        self.addCleanup(server.stop)
        server.set_up()
        made = self.hook(server, receiver, trigger="DEVICE_ADDED")
        delivery = server.api("POST", "webhook/test", {"webhookId": made["id"]})["id"]
        self.assertTrue(self.wait(lambda: "trusted" in server.api("GET", f"webhook/delivery?deliveryId={delivery}")["lastProblem"], 10))
        self.assertEqual(receiver.requests, 0)

    def test_secrets_stand_nowhere_in_clear(self):
        receiver = self.receiver()
        server = muster.Muster(config=FAST + f'ca_file = "{self.folder.name}/ca.pem"\n')
        self.addCleanup(server.stop)
        server.set_up()
        made = self.hook(server, receiver, trigger="DEVICE_ADDED", body="{device_authToken} planted-body-7f3a",
                         headers=[{"name": "X-Key", "value": "planted-header-91c2"}],
                         auth={"type": "BASIC", "user": "me", "password": "planted-password-5e0d"})
        device = server.new_device(server.new_template())
        self.assertTrue(self.wait(lambda: receiver.requests > 0, 10))
        self.assertTrue(self.wait(lambda: server.metric("muster_webhook_delivered_total") == 1, 10))
        secrets = [made["secret"], made["secret"][6:], "planted-header-91c2", "planted-password-5e0d", device["token"]]
        for name in os.listdir(server.directory):
            path = os.path.join(server.directory, name)
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            for secret in secrets:
                self.assertNotIn(secret.encode(), content, name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        DELIVERIES = int(sys.argv[1])
        KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    unittest.main(argv=sys.argv[:1])
