# SPDX-License-Identifier: Apache-2.0
"""With the store locked, missing, corrupt, from a newer version, or damaged while running: logins of live tokens never hear 9,
and the server gets ready by itself within 5 s of the store's return."""
import os
import shutil
import sqlite3
import threading
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import muster

LOGINS = int(os.environ.get("MUSTER_LOGINS", "10000"))
DEVICES = 40
CONFIG = "[api]\nrequests_per_minute_per_organization = 1000000000\n[gateway]\nlogin_hold_ms = 300\n"


class NeverAWrong9(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = muster.Muster(config=CONFIG)
        cls.server.set_up()
        cls.template = cls.server.new_template()
        cls.devices = [cls.server.new_device(cls.template, f"Lamp {i}") for i in range(DEVICES)]
        cls.tokens = [device["token"] for device in cls.devices]
        cls.database = os.path.join(cls.server.directory, "muster.db")
        cls.spare = cls.server.directory + "-spare"
        cls.answers = Counter()

    @classmethod
    def tearDownClass(cls):
        if cls.server.process.poll() is None:
            cls.server.kill()
        shutil.rmtree(cls.spare, ignore_errors=True)
        shutil.rmtree(cls.server.directory, ignore_errors=True)

    def hammer(self, count):
        """`count` logins of live tokens from many connections; none may hear 9."""
        with ThreadPoolExecutor(32) as pool:
            answers = Counter(pool.map(lambda i: self.server.login(self.tokens[i % DEVICES]), range(count)))
        self.answers.update(answers)
        self.assertEqual(answers[muster.INVALID_TOKEN], 0, answers)
        self.assertLessEqual(set(answers), {muster.SUCCESS, None}, answers)
        return answers

    def stop(self):
        self.assertEqual(self.server.stop(keep=True), 0)

    def comes_back(self):
        start = time.monotonic()
        self.server.wait_ready(5)
        answers = self.hammer(DEVICES)
        self.assertEqual(answers[muster.SUCCESS], DEVICES)
        return time.monotonic() - start

    def test_1_locked_while_running(self):
        with sqlite3.connect(self.database, isolation_level=None) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            answers = self.hammer(LOGINS // 5)
            self.assertEqual(answers[muster.SUCCESS], LOGINS // 5)  # The index answers, whatever the store does.
            with self.assertRaises(muster.Refused) as refused:     # What cannot be written is not acknowledged.
                self.server.new_device(self.template)
            self.assertEqual(refused.exception.status, 503)
            holder.execute("ROLLBACK")
        self.server.new_device(self.template)
        self.assertEqual(self.server.login("u" * 32), muster.INVALID_TOKEN)

    def test_2_overwritten_while_running(self):
        self.stop()
        shutil.copytree(self.server.directory, self.spare)
        self.server.start()
        for suffix in ("", "-wal"):
            with open(self.database + suffix, "r+b") as file:
                size = os.path.getsize(self.database + suffix)
                file.write(os.urandom(size))
        answers = self.hammer(LOGINS // 5)
        self.assertEqual(answers[muster.SUCCESS], LOGINS // 5)
        self.server.kill()

    def test_3_corrupt_at_the_start(self):
        self.server.start(wait=False)
        time.sleep(1)
        answers = self.hammer(LOGINS // 5)
        self.assertEqual(answers[None], LOGINS // 5)
        self.assertIn("damaged", self.server.log())
        self.server.kill()
        shutil.rmtree(self.server.directory)
        shutil.copytree(self.spare, self.server.directory)

    def test_4_locked_at_the_start_and_released(self):
        holder = sqlite3.connect(self.database, isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        self.server.start(wait=False)
        time.sleep(0.5)
        answers = self.hammer(LOGINS // 5)
        self.assertEqual(answers[None], LOGINS // 5)
        status, _ = self.server.request("GET", "/readyz")
        self.assertEqual(status, 503)
        status, _ = self.server.request("GET", f"/external/api/isHardwareConnected?token={self.tokens[0]}")
        self.assertEqual(status, 503)
        holder.execute("ROLLBACK")
        holder.close()
        self.comes_back()
        self.stop()

    def test_5_gone_at_the_start_and_brought_back(self):
        away = self.database + ".away"
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.database + suffix):
                os.rename(self.database + suffix, away + suffix)
        os.mkdir(self.database)  # What stands there cannot be opened.
        self.server.start(wait=False)
        time.sleep(0.5)
        answers = self.hammer(LOGINS // 5)
        self.assertEqual(answers[None], LOGINS // 5)
        os.rmdir(self.database)
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(away + suffix):
                os.rename(away + suffix, self.database + suffix)
        self.comes_back()
        self.stop()

    def test_6_from_a_newer_version(self):
        with sqlite3.connect(self.database) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute("PRAGMA user_version = 9999")
        self.server.start(wait=False)
        time.sleep(1)
        self.hammer(DEVICES)
        self.assertIn("newer", self.server.log())
        self.server.kill()
        with sqlite3.connect(self.database) as database:
            database.execute(f"PRAGMA user_version = {version}")
        self.server.start()
        self.hammer(DEVICES)

    def test_7_a_revoked_token_is_out_within_a_second_and_hears_9(self):
        status, connection = self.server.login(self.tokens[0], keep=True)
        self.assertEqual(status, muster.SUCCESS)
        connection.settimeout(1)
        self.server.api("DELETE", f"organization/device?deviceId={self.devices[0]['id']}")
        self.assertEqual(connection.recv(100), b"")  # Closed, without a frame.
        connection.close()
        self.assertEqual(self.server.login(self.tokens[0]), muster.INVALID_TOKEN)
        print(f"{sum(self.answers.values())} logins of live tokens: {dict(self.answers)}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
