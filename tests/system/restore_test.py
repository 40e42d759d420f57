# SPDX-License-Identifier: Apache-2.0
"""A backup of a running server, restored on another machine: old tokens log in throughout; those made after the backup are held and
counted, and hear 9 only once a person has said that the restore is complete, also while the server runs."""
import os
import shutil
import tempfile
import time
import unittest

import muster

CONFIG = "[gateway]\nlogin_hold_ms = 300\n"
PASSPHRASE = "a recovery passphrase"


class Restore(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-restore-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.server = None
        self.addCleanup(lambda: self.server.process.poll() is None and self.server.kill())

    def start(self, name):
        data = os.path.join(self.directory, name)
        os.makedirs(data, exist_ok=True)
        self.server = muster.Muster(directory=data, config=CONFIG)

    def test_backup_of_a_running_server_to_another_machine_and_complete(self):
        self.start("first")
        self.server.set_up()
        template = self.server.new_template()
        old = [self.server.new_device(template, f"Lamp {i}")["token"] for i in range(8)]
        revoked = self.server.new_device(template, "Old lamp")
        self.server.api("DELETE", f"organization/device?deviceId={revoked['id']}")
        backup = os.path.join(self.directory, "backup.muster")
        with muster.Hammer(self.server, old) as hammer:
            self.server.command("backup", backup, lines=[PASSPHRASE, PASSPHRASE])
        self.assertEqual(set(hammer.answers), {muster.SUCCESS}, hammer.answers)
        late = self.server.new_device(template, "Late lamp")["token"]
        self.assertEqual(self.server.login(late), muster.SUCCESS)
        self.assertEqual(self.server.stop(keep=True), 0)

        # Another machine has nothing of the first one but the file.
        shutil.rmtree(self.server.directory)
        self.server.directory = os.path.join(self.directory, "second")
        restored = self.server.command("restore", backup, lines=[PASSPHRASE])
        self.assertEqual(restored["unknownTokens"], "hold")
        self.start("second")
        self.assertNotIn("setup_code", self.server.ready)
        with muster.Hammer(self.server, old) as hammer:
            self.assertEqual(self.server.metric("muster_unknown_token_holds_total"), 0)
            for attempt in range(3):
                self.assertIsNone(self.server.login(late), "a token made after the backup is held")
            self.assertEqual(self.server.metric("muster_unknown_token_holds_total"), 3)
            self.assertEqual(self.server.metric("muster_logins_invalid_total"), 0)
            self.assertEqual(self.server.login(revoked["token"]), muster.INVALID_TOKEN, "what the backup knows as revoked is invalid")

            self.assertEqual(self.server.command("restore", "--complete", "--yes")["unknownTokens"], "refuse")
            end, status = time.monotonic() + 5, None
            while status is None and time.monotonic() < end:
                status = self.server.login(late)
            self.assertEqual(status, muster.INVALID_TOKEN, "5 s after --complete the running server must know")
        self.assertEqual(set(hammer.answers), {muster.SUCCESS}, hammer.answers)
        self.assertGreater(hammer.answers[muster.SUCCESS], 20)
        # People sign in anew, and what they make works.
        self.server.access_token = self.server.api("POST", "session", {"email": muster.EMAIL, "password": muster.PASSWORD})["accessToken"]
        self.assertEqual(self.server.login(self.server.new_device(template, "New lamp")["token"]), muster.SUCCESS)
        self.assertEqual(self.server.stop(keep=True), 0)
        self.server.start()
        self.assertEqual(self.server.login(late), muster.INVALID_TOKEN)
        self.assertEqual(self.server.login(old[0]), muster.SUCCESS)

    def test_a_wrong_passphrase_restores_nothing(self):
        self.start("first")
        backup = os.path.join(self.directory, "backup.muster")
        self.server.command("backup", backup, lines=[PASSPHRASE, PASSPHRASE])
        self.server.directory = os.path.join(self.directory, "second")
        with self.assertRaisesRegex(AssertionError, "passphrase is wrong"):
            self.server.command("restore", backup, lines=["another passphrase"])
        self.assertFalse(os.path.exists(os.path.join(self.server.directory, "muster.db")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
