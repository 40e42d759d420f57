# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of device creation and token regeneration under load, 50 times: everything acknowledged is there,
a regenerated token's predecessor hears 9, no row is there beyond acknowledged plus in flight, the integrity check passes."""
import os
import random
import sqlite3
import threading
import time
import unittest

import muster

ROUNDS = int(os.environ.get("MUSTER_CRASH_ROUNDS", "50"))
WORKERS = 6


class Worker(threading.Thread):
    """Creates devices and regenerates their tokens until the server dies; remembers what was acknowledged and what was in flight."""

    def __init__(self, server, template, rng):
        super().__init__(daemon=True)
        self.server, self.template, self.rng = server, template, rng
        self.created = {}    # device id -> live token
        self.replaced = []   # tokens that must hear 9
        self.creating = 0    # creations without an answer
        self.unsure = set()  # device ids whose regeneration had no answer: either token may be the live one

    def run(self):
        try:
            while True:
                self.creating = 1
                device = self.server.new_device(self.template, f"Lamp {self.rng.randrange(10**6)}")
                self.creating = 0
                self.created[device["id"]] = device["token"]
                if self.rng.random() < 0.5:
                    self.unsure = {device["id"]}
                    token = self.server.api("PUT", "organization/device/token", {"deviceId": device["id"]})["token"]
                    self.unsure = set()
                    self.replaced.append(device["token"])
                    self.created[device["id"]] = token
        except (OSError, muster.http.client.HTTPException, ValueError):
            pass


class Crash(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_and_nothing_is_invented(self):
        seed = int(os.environ.get("MUSTER_SEED", str(time.time_ns() % 10**9)))
        print(f"seed {seed} (repeat with MUSTER_SEED={seed})", flush=True)
        rng = random.Random(seed)
        server = muster.Muster(config="[api]\nrequests_per_minute_per_organization = 1000000000\n")
        try:
            server.set_up()
            template = server.new_template()
            expected, possible = 0, 0
            totals = {"created": 0, "replaced": 0, "in_flight": 0}
            for round_number in range(ROUNDS):
                workers = [Worker(server, template, random.Random(rng.random())) for _ in range(WORKERS)]
                for worker in workers:
                    worker.start()
                time.sleep(rng.uniform(0.05, 0.4))
                server.kill()
                for worker in workers:
                    worker.join(15)
                    self.assertFalse(worker.is_alive())
                server.start()
                for worker in workers:
                    expected += len(worker.created)
                    possible += worker.creating
                    totals["created"] += len(worker.created)
                    totals["replaced"] += len(worker.replaced)
                    totals["in_flight"] += worker.creating + len(worker.unsure)
                    for device_id, token in worker.created.items():
                        status = server.login(token)
                        if device_id in worker.unsure:
                            self.assertIn(status, (muster.SUCCESS, muster.INVALID_TOKEN), f"round {round_number}, seed {seed}")
                        else:
                            self.assertEqual(status, muster.SUCCESS, f"round {round_number}: an acknowledged token is gone, seed {seed}")
                    for token in worker.replaced:
                        self.assertEqual(server.login(token), muster.INVALID_TOKEN, f"round {round_number}: a replaced token lives, seed {seed}")
                rows = server.api("GET", "organization/devices?size=1")["totalElements"]
                self.assertGreaterEqual(rows, expected, f"round {round_number}, seed {seed}")
                self.assertLessEqual(rows, expected + possible, f"round {round_number}, seed {seed}")
                expected, possible = rows, 0
            self.assertEqual(server.stop(keep=True), 0)
            with sqlite3.connect(os.path.join(server.directory, "muster.db")) as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            print(f"{ROUNDS} kills: {totals}")
            self.assertGreater(totals["created"], ROUNDS)
            self.assertGreater(totals["replaced"], 0)
            self.assertGreater(totals["in_flight"], 0)
        finally:
            if server.process.poll() is None:
                server.kill()


if __name__ == "__main__":
    unittest.main(verbosity=2)
