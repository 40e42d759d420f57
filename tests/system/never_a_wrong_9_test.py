# SPDX-License-Identifier: Apache-2.0
"""With the store locked, missing, corrupt, from a newer version, read-only, slow, broken or damaged while running: logins of live tokens
never hear 9, and the server gets ready by itself within 5 s of the store's return."""
import errno
import mmap
import os
import shutil
import sqlite3
import struct
import tempfile
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
        self.server.start_in_trouble()
        answers = self.hammer(LOGINS // 5)
        self.assertEqual(answers[None], LOGINS // 5)
        self.server.wait_log("damaged")
        self.server.kill()
        shutil.rmtree(self.server.directory)
        shutil.copytree(self.spare, self.server.directory)

    def test_4_locked_at_the_start_and_released(self):
        holder = sqlite3.connect(self.database, isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        self.server.start_in_trouble()
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
        self.server.start_in_trouble()
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
        self.server.start_in_trouble()
        self.hammer(DEVICES)
        self.server.wait_log("newer")
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


class SpoiledDisk(unittest.TestCase):
    """The same below a preloaded library that makes the database's disk slow, read-only or broken; see spoiled_disk.c."""

    LOGINS = LOGINS // 10

    def setUp(self):
        self.orders_file = tempfile.NamedTemporaryFile(prefix="muster-spoiled-")
        self.addCleanup(self.orders_file.close)
        self.orders_file.write(bytes(16))
        self.orders_file.flush()
        self.orders = mmap.mmap(self.orders_file.fileno(), 16)
        self.addCleanup(self.orders.close)
        library = os.path.join(os.environ["MUSTER_TEST_LIBRARIES"], "libmuster_spoiled_disk.so")
        self.assertTrue(os.path.exists(library))
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        self.server = muster.Muster(config=CONFIG, environment={
            **os.environ, "LD_PRELOAD": library, "MUSTER_SPOILED_DISK": self.orders_file.name, "ASAN_OPTIONS": sanitizer})
        self.addCleanup(shutil.rmtree, self.server.directory, ignore_errors=True)
        self.addCleanup(lambda: self.server.process.poll() is None and self.server.kill())
        self.server.set_up()
        self.template = self.server.new_template()
        self.tokens = [self.server.new_device(self.template, f"Lamp {i}")["token"] for i in range(DEVICES)]
        self.database = os.path.join(self.server.directory, "muster.db")
        self.strangers = 0

    def spoil(self, delay_ms=0, reading=0, writing=0, opening=0):
        self.orders[:] = struct.pack("=4i", delay_ms, reading, writing, opening)

    def hammer(self, count, allowed):
        with ThreadPoolExecutor(32) as pool:
            answers = Counter(pool.map(lambda i: self.server.login(self.tokens[i % DEVICES]), range(count)))
        self.assertEqual(answers[muster.INVALID_TOKEN], 0, answers)
        self.assertLessEqual(set(answers), set(allowed), answers)
        print(f"{sum(answers.values())} logins of live tokens: {dict(answers)}", flush=True)
        return answers

    def stranger(self):
        """A login with a token that was never issued, another each time."""
        self.strangers += 1
        return self.server.login(f"stranger-{self.strangers:023}")

    def refused(self):
        with self.assertRaises(muster.Refused) as refused:
            self.server.new_device(self.template, "Refused")
        self.assertEqual(refused.exception.status, 503)

    def comes_back(self):
        """Within 5 s: ready, changes are taken, strangers hear that they are unknown, everybody else logs in."""
        end, why = time.monotonic() + 5, "nothing was tried"
        while True:
            try:
                if self.server.request("GET", "/readyz")[0] == 200:
                    self.tokens[0] = self.server.new_device(self.template, f"Lamp {time.monotonic_ns()}")["token"]
                    why = self.stranger()
                    if why == muster.INVALID_TOKEN:
                        break
            except (muster.Refused, OSError) as error:
                why = error
            self.assertLess(time.monotonic(), end, f"not ready 5 s after the store's return: {why}")
            time.sleep(0.05)
        self.hammer(DEVICES, {muster.SUCCESS})

    def test_slow_while_running_and_at_the_start(self):
        self.spoil(delay_ms=100)
        self.hammer(self.LOGINS, {muster.SUCCESS})
        begun = time.monotonic()
        self.assertIn(self.stranger(), (None, muster.INVALID_TOKEN))
        self.assertLess(time.monotonic() - begun, 4.5)
        made = self.server.new_device(self.template, "Slow lamp")["token"]  # Slow, and done.
        self.assertEqual(self.server.login(made), muster.SUCCESS)
        self.server.kill()
        self.spoil(delay_ms=400)
        self.server.start_in_trouble()
        self.assertFalse(self.server.ready_event.is_set(), "reading takes longer than this")
        self.hammer(64, {None, muster.SUCCESS})
        self.spoil()
        self.server.wait_ready(5)
        self.comes_back()

    def test_read_only_while_running_and_at_the_start(self):
        self.spoil(writing=errno.EROFS, opening=errno.EROFS)
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.refused()
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.spoil()
        self.comes_back()
        self.server.kill()
        self.spoil(writing=errno.EROFS, opening=errno.EROFS)
        self.server.start_in_trouble()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.hammer(DEVICES, {None, muster.SUCCESS})
        self.refused()
        self.spoil()
        self.comes_back()

    def test_broken_while_running(self):
        self.spoil(reading=errno.EIO, writing=errno.EIO, opening=errno.EIO)
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.refused()
        self.assertIsNone(self.stranger(), "nobody knows whether this token was issued")
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.spoil()
        self.comes_back()

    def test_taken_away_while_running_and_brought_back(self):
        away = os.path.join(self.server.directory, "away")
        os.mkdir(away)
        names = [name for name in os.listdir(self.server.directory) if name.startswith("muster.db")]
        for name in names:
            os.rename(os.path.join(self.server.directory, name), os.path.join(away, name))
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.refused()
        self.assertIsNone(self.stranger(), "nobody knows whether this token was issued")
        self.hammer(self.LOGINS, {muster.SUCCESS})
        self.assertFalse(os.path.exists(self.database), "an empty store must not take its place")
        for name in os.listdir(away):
            os.rename(os.path.join(away, name), os.path.join(self.server.directory, name))
        self.comes_back()


if __name__ == "__main__":
    unittest.main(verbosity=2)
