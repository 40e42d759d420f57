# SPDX-License-Identifier: Apache-2.0
"""Strangers who guess passwords: sign-ins at a fixed rate, whatever the server answers, each from an address and for an account of its own, so that no
throttle but the one of password hashing stands in their way. A process of its own: `sign_in_flood.py HOST:PORT RATE`; prints its counts at SIGTERM."""
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

IN_FLIGHT_MAX = 2_000


class SignInFlood:
    """The process, as bench/run starts and stops it."""

    def __init__(self, address, rate):
        self.command, self.process, self.seed = [sys.executable, os.path.abspath(__file__), address, str(rate)], None, 0

    def start(self):
        self.seed += 1
        self.process = subprocess.Popen([*self.command, str(self.seed)], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # It has begun.
        time.sleep(0.5)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=30)
        return Counter(json.loads(said))


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    rate, seed = float(sys.argv[2]), int(sys.argv[3])
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    selector, answers, begun = selectors.DefaultSelector(), Counter(), time.monotonic()
    print("begun", flush=True)
    for number in itertools.count():
        while True:
            wait = begun + number / rate - time.monotonic()
            for key, _ in selector.select(max(0, wait)):
                answer = key.fileobj.recv(4096)
                answers[answer[9:12].decode() or "closed"] += 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
            if wait <= 0 or stopping:
                break
        if stopping:
            break
        if len(selector.get_map()) >= IN_FLIGHT_MAX:
            answers["not sent"] += 1
            continue
        stranger = socket.socket()
        stranger.bind((f"127.{1 + seed % 200}.{number >> 8 & 255}.{1 + number % 254}", 0))
        stranger.connect((host, int(port)))
        body = json.dumps({"email": f"stranger{seed}-{number}@example.com", "password": f"guess {number}"})
        stranger.send((f"POST /api/v1/session HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n" + body).encode())
        selector.register(stranger, selectors.EVENT_READ)
    answers["unanswered"] += len(selector.get_map())
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
