# SPDX-License-Identifier: Apache-2.0
"""What docs/guides/organizations.md says to type, typed: the tree, roles, devices that change hands and a job, by `muster` against a real
server."""
import json
import os
import subprocess
import time
import unittest

import muster


class Organizations(unittest.TestCase):
    def setUp(self):
        self.server = muster.Muster()
        self.addCleanup(self.server.stop)
        self.server.set_up()

    def run_muster(self, *arguments, lines=(), status=0):
        environment = {**os.environ, "MUSTER_URL": f"http://127.0.0.1:{self.server.port}", "MUSTER_TOKEN": self.server.access_token,
                       "XDG_CONFIG_HOME": self.server.directory}
        run = subprocess.run([muster.BIN, *arguments], input="".join(line + "\n" for line in lines), capture_output=True, text=True,
                             timeout=30, env=environment)
        self.assertEqual(run.returncode, status, f"muster {' '.join(arguments)}: {run.stdout}{run.stderr}")
        return run

    def json(self, *arguments, **more):
        return json.loads(self.run_muster(*arguments, "--json", **more).stdout)

    def test_the_guide(self):
        clients = self.json("org", "create", "--name", "Clients")["id"]
        acme = self.json("org", "create", "--name", "Acme Ltd", "--org", str(clients))["id"]
        ada = self.json("user", "create", "--email", "ada@acme.example", "--role", "Admin", "--org", str(acme), lines=["long enough 1"])["id"]
        template = self.json("template", "create", "--name", "Lamp")["templateId"]
        devices = [self.json("device", "create", "--template", template, "--name", f"Lamp {i}")["id"] for i in range(4)]

        self.json("device", "transfer", str(devices[0]), "--to-owner", "ada@acme.example", "--org", str(acme), "--yes")
        shown = self.json("device", "show", str(devices[0]))
        self.assertEqual((shown["orgId"], shown["ownerId"]), (acme, ada))
        self.json("device", "remove-owner", str(devices[0]), "--yes")
        self.json("device", "erase", str(devices[0]), "--yes")
        self.json("device", "transfer", str(devices[1]), "--to-org", str(acme), "--yes")
        job = self.json("job", "start", "transfer", "--template", template, "--to-org", str(acme), "--yes")["jobId"]
        end = time.monotonic() + 20
        while self.json("job", "show", str(job))["state"] != "DONE":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertEqual([(each["done"], each["failed"]) for each in self.json("job", "list")], [(2, 0)])
        self.assertEqual(len(self.json("device", "list", "--org", str(acme))), 4)

        self.run_muster("org", "edit", str(acme), "--device-limit", "4")
        refused = self.run_muster("device", "create", "--template", template, "--name", "One more", "--org", str(acme), status=3)
        self.assertIn("limit", refused.stderr)
        refused = self.run_muster("org", "delete", str(acme), "--yes", status=3)
        self.assertIn("4 devices belong to it", refused.stderr)

        north = self.json("org", "create", "--name", "North Distribution", "--type", "DISTRIBUTOR")["id"]
        berg = self.json("org", "create", "--name", "Installer Berg", "--type", "INSTALLER", "--org", str(north))["id"]
        permissions = ["PROVISION_DEVICES", "ORG_DEVICES_VIEW", "DEVICE_TRANSFER"]
        made = self.json("role", "create", "Installer", *(part for each in permissions for part in ("--permission", each)))
        self.assertEqual(sorted(made["permissions"]), sorted(permissions))
        self.json("user", "create", "--email", "berg@example.com", "--role", "Installer", "--org", str(berg), lines=["long enough 1"])
        self.assertIn("DEVICE_DATA_DELETE", self.json("role", "show", "Staff", "--org", str(north))["permissions"])
        revoked = self.json("role", "revoke", "Staff", "DEVICE_DATA_DELETE", "--org", str(north))
        self.assertNotIn("DEVICE_DATA_DELETE", revoked["permissions"])
        self.json("role", "grant", "Installer", "OTA_VIEW", "--org", str(north), "--sub-orgs", "--yes")
        self.assertIn("OTA_VIEW", self.json("role", "show", "Installer", "--org", str(berg))["permissions"])
        self.assertNotIn("OTA_VIEW", self.json("role", "show", "Installer")["permissions"])
        self.json("role", "delete", "Installer", "--replacement", "User", "--yes")
        self.assertEqual([each["name"] for each in self.json("role", "list")], ["Admin", "Staff", "User"])

        refused = self.run_muster("org", "move", str(north), "--under", str(berg), "--yes", status=3)
        self.assertIn("under itself", refused.stderr)
        self.json("org", "move", str(berg), "--under", str(clients), "--yes")
        self.assertEqual(self.json("org", "show", str(berg))["parentId"], clients)
        # Who acts in a customer's organization from above stands in that customer's log.
        actions = {each["action"] for each in self.json("audit", "list", "--org", str(acme))}
        self.assertLessEqual({"device.transfer", "device.owner.remove", "device.erase", "organization.update"}, actions)


if __name__ == "__main__":
    unittest.main()
