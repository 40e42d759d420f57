# SPDX-License-Identifier: Apache-2.0
"""Secrets do not leak: after the server has handled tokens, passwords and access tokens, none of them stands in clear in its
log, its database, the write-ahead log of the running server, its other files, or a backup."""
import os
import subprocess
import unittest

import muster


def files_below(directory):
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(folder, name)


class Secrets(unittest.TestCase):
    def test_none_is_found_in_clear(self):
        server = muster.Muster(config="[log]\nlevel = \"debug\"\n")
        try:
            code = server.ready["setup_code"]
            server.set_up()
            template = server.new_template()
            device = server.new_device(template)
            secrets = {"AuthToken": device["token"], "password": muster.PASSWORD, "access token": server.access_token, "setup code": code}
            server.login(device["token"])
            server.request("GET", f"/external/api/update?token={device['token']}&v1=17")
            server.request("GET", f"/external/api/get?token={device['token']}&vX")
            secrets["regenerated AuthToken"] = server.api("PUT", "organization/device/token", {"deviceId": device["id"]})["token"]
            server.api("GET", f"organization/device/token?deviceId={device['id']}")
            secrets["unknown AuthToken"] = "planted-unknown-token-0123456789"
            self.assertEqual(server.login(secrets["unknown AuthToken"]), muster.INVALID_TOKEN)
            server.request("POST", "/api/v1/session", {"email": muster.EMAIL, "password": "planted wrong password"})
            secrets["wrong password"] = "planted wrong password"
            backup = os.path.join(server.directory, "backup.muster")
            subprocess.run([muster.BIN, "backup", "--data", server.directory, "--out", backup], input=b"recovery passphrase 1\nrecovery passphrase 1\n",
                           check=True, timeout=60)
            secrets["recovery passphrase"] = "recovery passphrase 1"
            for kind in ("AuthToken", "regenerated AuthToken"):  # The search itself works: what is served can be found.
                self.assertEqual(len(secrets[kind]), 32)
            found, looked_at = [], []
            for path in files_below(server.directory):
                with open(path, "rb") as content:
                    data = content.read()
                looked_at.append(os.path.relpath(path, server.directory))
                found += [(path, kind) for kind, secret in secrets.items() if secret.encode() in data]
            self.assertEqual(found, [])
            for expected in ("muster.db", "muster.db-wal", "log", "backup.muster"):
                self.assertIn(expected, looked_at)
            with open(f"/proc/{server.process.pid}/cmdline", "rb") as line:
                command_line = line.read()
            self.assertFalse(any(secret.encode() in command_line for secret in secrets.values()))
            with open(f"/proc/{server.process.pid}/limits") as limits:
                core = [line for line in limits if line.startswith("Max core file size")][0].split()
            self.assertEqual(core[4], "0", "core dumps are off")
            audit = server.api("GET", "audit?size=1000")
            actions = [entry["action"] for entry in audit["content"]]
            self.assertEqual(actions.count("device.token.reveal"), 1)
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
