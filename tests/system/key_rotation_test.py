# SPDX-License-Identifier: Apache-2.0
"""`muster key rotate` while devices log in and are created: every live token works before, during and after, also when the command is
killed in the middle and run again; a revoked token stays revoked."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import muster

DEVICES = int(os.environ.get("MUSTER_ROTATE_DEVICES", "3000"))  # Three batches.
CONFIG = "[api]\nrequests_per_minute_per_organization = 1000000000\n"


class KeyRotation(unittest.TestCase):
    def setUp(self):
        self.server = muster.Muster(config=CONFIG)
        self.addCleanup(shutil.rmtree, self.server.directory, ignore_errors=True)
        self.addCleanup(lambda: self.server.process.poll() is None and self.server.kill())
        self.server.set_up()
        self.template = self.server.new_template()
        self.database = sqlite3.connect(f"file:{self.server.directory}/muster.db?mode=ro", uri=True, isolation_level=None)
        self.addCleanup(self.database.close)

    def create(self, count):
        with ThreadPoolExecutor(16) as pool:
            return [device["token"] for device in pool.map(lambda i: self.server.new_device(self.template, f"Lamp {i}"), range(count))]

    def live(self, under=None):
        if under is None:
            return self.database.execute("SELECT count(*) FROM auth_token WHERE kind <> 6").fetchone()[0]
        return self.database.execute("SELECT count(*) FROM auth_token WHERE kind <> 6 AND key_id = ?", (under,)).fetchone()[0]

    def start_rotation(self):
        return subprocess.Popen([muster.BIN, "key", "rotate", "--data", self.server.directory, "--json"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def cut_off_in_the_middle(self):
        """Starts a rotation and kills it when some tokens are under the new key and some are not."""
        for attempt in range(3):
            newest = self.database.execute("SELECT max(key_id) FROM auth_token").fetchone()[0]
            rotation = self.start_rotation()
            while rotation.poll() is None and self.live(newest + 1) < 900:
                time.sleep(0.001)
            rotation.send_signal(signal.SIGKILL)
            rotation.communicate(timeout=10)
            if newest + 1 <= self.database.execute("SELECT max(key_id) FROM auth_token").fetchone()[0] and self.live(newest) >= 900:
                return
        self.fail("the rotation was over each time before it could be cut off")

    def test_rotation_under_load_cut_off_once_and_run_again(self):
        tokens = self.create(DEVICES)
        gone = self.server.new_device(self.template, "Gone")
        self.server.api("DELETE", f"organization/device?deviceId={gone['id']}")
        created, busy, ending, complaints = [], [], threading.Event(), []

        def create_and_use():
            while not ending.is_set():
                try:
                    device = self.server.new_device(self.template, f"Lamp {time.monotonic_ns()}")
                except muster.Refused as refused:
                    if refused.status != 503:  # A batch that takes long keeps others waiting; nothing was promised.
                        raise
                    busy.append(refused)
                    continue
                status = self.server.login(device["token"])
                if status != muster.SUCCESS:
                    complaints.append(f"a token made a moment ago heard {status}")
                created.append(device["token"])
                if self.server.login(gone["token"]) != muster.INVALID_TOKEN:
                    complaints.append("a revoked token is not invalid")

        creator = threading.Thread(target=create_and_use, daemon=True)
        with muster.Hammer(self.server, tokens) as hammer:
            creator.start()
            time.sleep(0.5)
            self.cut_off_in_the_middle()
            during = len(created)
            time.sleep(1)
            rotation = self.start_rotation()
            output, errors = rotation.communicate(timeout=90)
            self.assertEqual(rotation.returncode, 0, errors)
            time.sleep(0.5)
            ending.set()
            creator.join(15)
        self.assertEqual(complaints, [])
        self.assertEqual(set(hammer.answers), {muster.SUCCESS}, hammer.answers)
        answer = json.loads(output)
        self.assertGreater(answer["rotated"], 900)
        self.assertEqual(self.live(answer["newestKey"]), self.live(), "every live token is under the newest key")
        self.assertGreater(len(created), during)
        print(f"{DEVICES} tokens, {len(created)} more meanwhile; {len(busy)} times busy; {hammer.answers[muster.SUCCESS]} logins; "
              f"then {answer}", flush=True)

        # Each one by itself: through the running server's memory, and read anew by the next one.
        for _ in range(2):
            with ThreadPoolExecutor(16) as pool:
                self.assertEqual(set(pool.map(self.server.login, tokens + created)), {muster.SUCCESS})
            self.assertEqual(self.server.login(gone["token"]), muster.INVALID_TOKEN)
            self.assertEqual(self.server.stop(keep=True), 0)
            self.server.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
