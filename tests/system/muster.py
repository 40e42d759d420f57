# SPDX-License-Identifier: Apache-2.0
"""Starts a real `muster serve` for a test, and speaks HTTP and the device protocol to it. Standard library only."""
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter

BIN = os.path.join(os.environ["MUSTER_BIN_DIR"], "muster")
EMAIL, PASSWORD = "admin@example.com", "correct horse battery"
SUCCESS, INVALID_TOKEN = 200, 9


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Refused(Exception):
    """An HTTP answer that was not expected."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body


class Muster:
    def __init__(self, directory=None, config="", port=0, wait=True, environment=None, arguments=()):
        self.directory = directory or tempfile.mkdtemp(prefix="muster-system-")
        self.environment, self.arguments = environment, list(arguments)
        self.port, self.config, self.access_token, self.ready = port, config, None, None
        self.start(wait)

    def start(self, wait=True):
        config = os.path.join(self.directory, "muster.toml")
        with open(config, "w") as out:
            out.write(self.config or "# defaults\n")
        self.log_path = os.path.join(self.directory, "log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BIN, "serve", "--data", self.directory, "--listen", f"127.0.0.1:{self.port}", "--listen-tls", "127.0.0.1:0", "--config", config,
                 *self.arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.environment)
        self.ready_event = threading.Event()
        threading.Thread(target=self._follow, args=(self.process,), daemon=True).start()
        if wait:
            self.wait_ready()

    def _follow(self, process):
        with process.stdout:
            for line in process.stdout:
                event = json.loads(line)
                if event.get("event") == "ready":
                    self.ready = event
                    self.port = int(event["http"].rsplit(":", 1)[1])
                    self.ready_event.set()

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while not self.ready_event.wait(0.02):
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.log()}")
            if time.monotonic() > end:
                raise AssertionError(f"not ready in {seconds} s: {self.log()}")
        return self.ready

    def start_in_trouble(self):
        """Starts without waiting for ready, until it listens: it does before it is ready."""
        self.start(wait=False)
        end = time.monotonic() + 30
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"does not listen: {self.log()}") from None
                time.sleep(0.02)

    def wait_log(self, words, seconds=10):
        end = time.monotonic() + seconds
        while words not in self.log():
            if time.monotonic() > end:
                raise AssertionError(f"the log does not say \"{words}\": {self.log()}")
            time.sleep(0.05)

    def log(self):
        with open(self.log_path, errors="replace") as text:
            return text.read()[-6000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, keep=False):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        return code

    def request(self, method, path, body=None, headers=None, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if self.access_token:
                headers.setdefault("Authorization", f"Bearer {self.access_token}")
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def api(self, method, path, body=None, expected=(200, 201, 204)):
        # Passwords are hashed by threads that give way to everybody: on a busy machine that takes its time.
        status, text = self.request(method, "/api/v1/" + path, body, timeout=60)
        if status not in expected:
            raise Refused(status, text)
        return json.loads(text) if text else None

    def set_up(self):
        answer = self.api("POST", "setup", {"code": self.ready["setup_code"], "email": EMAIL, "password": PASSWORD})
        self.access_token = answer["accessToken"]

    def command(self, *arguments, lines=(), **options):
        """A `muster` command on this server's data directory, as JSON."""
        run = subprocess.run([BIN, *arguments, "--data", self.directory, "--json"], input="".join(line + "\n" for line in lines),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, **options)
        if run.returncode != 0:
            raise AssertionError(f"muster {' '.join(arguments)} ended with {run.returncode}: {run.stderr}")
        return json.loads(run.stdout)

    def metric(self, name):
        status, text = self.request("GET", "/metrics", headers={"Authorization": ""})
        assert status == 200, text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split(" ")[0].split("{")[0] == name)

    def new_template(self, name="Lamps"):
        return self.api("POST", "template/create", {"name": name})["templateId"]

    def new_device(self, template, name="Lamp"):
        return self.api("POST", "organization/device/create", {"templateId": template, "name": name})

    def connect(self, timeout=8):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def login(self, token, timeout=8, keep=False):
        """The status that a login hears; None when the connection ended without an answer. With `keep`: (status, socket)."""
        connection = self.connect(timeout)
        status = None
        try:
            connection.sendall(frame(29, 1, token.encode()))
            answer = read_exactly(connection, 5)
            if answer:
                command, _, value = struct.unpack(">BHH", answer)
                status = value if command == 0 else ("redirect" if command == 41 else ("frame", command))
        except (ConnectionError, socket.timeout):
            status = None
        if keep:
            return status, connection
        connection.close()
        return status


class Hammer:
    """Logs in with live tokens from several threads until it is stopped, and counts the answers."""

    def __init__(self, server, tokens, threads=4):
        self.server, self.tokens, self.answers = server, list(tokens), Counter()
        self.ending, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(15)

    def _run(self, at):
        while not self.ending.is_set():
            token = self.tokens[at % len(self.tokens)]
            at += len(self.threads)
            status = self.server.login(token)
            with self.lock:
                self.answers[status] += 1


def frame(command, message_id, body=b""):
    return struct.pack(">BHH", command, message_id, len(body)) + body


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return None
        data += more
    return data


def read_frame(connection):
    header = read_exactly(connection, 5)
    if header is None:
        return None
    command, message_id, length = struct.unpack(">BHH", header)
    body = b"" if command == 0 else read_exactly(connection, length)
    return command, message_id, length if command == 0 else body
