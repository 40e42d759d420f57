# SPDX-License-Identifier: Apache-2.0
"""Whoever tampers with the audit log of a data directory, with the sqlite3 tool and all the time in the world, is told of by `muster audit
verify`: what was edited, inserted, deleted, reordered, cut off. Who has the key and computes the chain anew is convicted by a head that
was kept elsewhere."""
import csv
import hashlib
import hmac
import io
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

import muster

TRIGGERS = "DROP TRIGGER audit_changed; DROP TRIGGER audit_deleted; DROP TRIGGER audit_personal_changed;"


def verify(data, *arguments):
    """Exit code and what was found."""
    run = subprocess.run([muster.BIN, "audit", "verify", "--data", data, "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=60)
    return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr


def sqlite(data, script, *options):
    run = subprocess.run(["sqlite3", "-batch", *options, os.path.join(data, "muster.db")], input=script, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=60)
    if run.returncode != 0 or run.stderr:
        raise AssertionError(f"sqlite3: {run.stderr}")
    return run.stdout


def recompute(data):
    """The whole chain anew, as somebody with the key can. A second implementation of the format."""
    with open(os.path.join(data, "keys", "audit.secret"), "rb") as file:
        key = file.read()[8:40]
    rows = json.loads(sqlite(data, "SELECT id, number, at, actor_user_id, api_key_id, oauth_client_id, organization_id, object_id, client, action, "
                                   "object_kind, detail, hex(from_digest) AS f, hex(about_digest) AS a FROM audit ORDER BY id;", "-json"))
    previous, script = bytes(32), "BEGIN;"
    for number, row in enumerate(rows, 1):
        text = lambda value: struct.pack(">I", len(value)) + value
        content = text(previous) + b"".join(
            struct.pack(">q", value) for value in (number, row["at"], row["actor_user_id"], row["api_key_id"], row["oauth_client_id"],
                                                   row["organization_id"], row["object_id"]))
        for value in (row["client"], row["action"], row["object_kind"], row["detail"]):
            content += text(value.encode())
        content += text(bytes.fromhex(row["f"])) + text(bytes.fromhex(row["a"]))
        domain = b"muster-audit-entry-1"
        mac = hmac.new(key, bytes([len(domain)]) + domain + content, hashlib.sha256).digest()
        script += f"UPDATE audit SET number = {number}, previous = x'{previous.hex()}', mac = x'{mac.hex()}' WHERE id = {row['id']};"
        if number != row["number"]:
            script += f"UPDATE audit_personal SET entry = {number} WHERE entry = {row['number']};"
        previous = mac
    sqlite(data, script + "COMMIT;")


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="muster-audit-")
        cls.data = os.path.join(cls.directory, "data")
        os.makedirs(cls.data)
        server = muster.Muster(directory=cls.data)
        try:
            server.set_up()
            template = server.new_template()
            for i in range(8):
                server.new_device(template, f"Lamp {i}")
            user = server.api("POST", "users/create-in-org", {"email": "ada@example.com", "name": "=Ada", "password": "correct horse"})
            server.api("PUT", "user", {"userId": user["id"], "name": "+Ada"})
            cls.csv = [server.request("GET", "/api/v1/audit/export?action=user.")[1], server.request("GET", "/api/v1/audit/export")[1]]
            server.wait_log("audit_head")
            assert server.stop(keep=True) == 0, server.log()
        except BaseException:
            server.kill()
            raise
        folder = os.path.join(cls.data, "files", "audit-heads")
        cls.kept = os.path.join(cls.directory, "kept-heads")
        with open(cls.kept, "w") as out:
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name)) as file:
                    out.write(file.read())
        with open(cls.kept) as file:
            cls.count = int(file.read().strip().split("\n")[-1].split("count=")[1].split(" ")[0])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory, ignore_errors=True)

    def setUp(self):
        self.copy = os.path.join(self.directory, self.id().rsplit(".", 1)[1])
        shutil.copytree(self.data, self.copy)

    def tampered(self, script):
        sqlite(self.copy, TRIGGERS + script)
        return self.findings()

    def findings(self, *arguments):
        code, found = verify(self.copy, *arguments)
        self.assertEqual(code, 0 if found["whole"] else 1)
        return [(finding["problem"], finding["first"], finding["last"]) for finding in found["findings"]]

    def forget_own_heads(self):
        shutil.rmtree(os.path.join(self.copy, "files", "audit-heads"))

    def test_a_whole_log_is_whole_and_its_head_covers_all_of_it(self):
        code, found = verify(self.copy, "--head", self.kept)
        self.assertEqual((code, found["whole"], found["entries"], found["genuine"]), (0, True, self.count, self.count))
        self.assertGreater(found["headsMet"], 0)
        self.assertGreater(self.count, 12)

    def test_entries_cannot_be_changed_or_deleted_by_accident(self):
        for script in ("UPDATE audit SET detail = '{}';", "DELETE FROM audit;", "UPDATE audit_personal SET text = 'x';"):
            with self.assertRaises(AssertionError):
                sqlite(self.copy, script)

    def test_an_edit(self):
        self.assertEqual(self.tampered("UPDATE audit SET detail = '{}' WHERE id = 5;"), [("edited", 5, 5)])

    def test_an_edit_of_the_newest_entry(self):
        self.assertEqual(self.tampered(f"UPDATE audit SET actor_user_id = 9 WHERE id = {self.count};"), [("edited", self.count, self.count)])

    def test_an_insertion(self):
        columns = "previous, mac, at, actor_user_id, api_key_id, oauth_client_id, organization_id, object_id, client, action, object_kind, " \
                  "detail, from_digest, about_digest"
        at_the_end = f"INSERT INTO audit (number, {columns}) SELECT max(number) + 1, {columns} FROM audit;"
        last = self.count + 1
        self.assertEqual(self.tampered(at_the_end), [("inserted", last, last)])

    def test_an_insertion_in_the_middle(self):
        # Room is made by moving what comes behind; ids are not what holds the chain.
        self.assertEqual(self.tampered(
            "UPDATE audit SET id = -id - 1 WHERE id > 4; UPDATE audit SET id = -id WHERE id < 0;"
            "INSERT INTO audit SELECT 5, number + 1, previous, mac, at, 77, 0, 0, organization_id, object_id, client, action, object_kind, "
            "detail, from_digest, about_digest FROM audit WHERE id = 4;"), [("inserted", 5, 5)])

    def test_a_deletion(self):
        self.assertEqual(self.tampered("DELETE FROM audit WHERE id BETWEEN 4 AND 6;"), [("deleted", 4, 6)])

    def test_a_deletion_that_was_smoothed_over(self):
        self.assertEqual(self.tampered("DELETE FROM audit WHERE id = 4; UPDATE audit SET id = -id + 1 WHERE id > 4; "
                                       "UPDATE audit SET id = -id WHERE id < 0;"), [("deleted", 4, 4)])

    def test_a_reorder(self):
        self.assertEqual(self.tampered("UPDATE audit SET id = -4 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5; "
                                       "UPDATE audit SET id = 5 WHERE id = -4;"), [("reordered", 4, 4)])

    def test_a_cut_tail(self):
        first = self.count - 2
        self.assertEqual(self.tampered(f"DELETE FROM audit WHERE id >= {first};"), [("tail cut", first, self.count)])

    def test_a_cut_tail_with_the_counter_set_back(self):
        first = self.count - 2
        script = f"DELETE FROM audit WHERE id >= {first}; UPDATE sqlite_sequence SET seq = {first - 1} WHERE name = 'audit';"
        self.assertEqual(self.tampered(script), [("tail cut", first, self.count)])
        self.forget_own_heads()
        self.assertEqual(self.findings(), [], "nothing here tells any more")
        self.assertEqual(self.findings("--head", self.kept), [("tail cut", first, self.count)])

    def test_a_chain_computed_anew_is_told_by_a_head_that_was_kept_elsewhere(self):
        sqlite(self.copy, TRIGGERS + "UPDATE audit SET detail = '{}' WHERE id = 5; DELETE FROM audit WHERE id = 7; "
               "DELETE FROM audit_personal WHERE entry = 7;")
        recompute(self.copy)
        sqlite(self.copy, "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM audit) - 1 WHERE name = 'audit';")
        self.forget_own_heads()
        self.assertEqual(self.findings(), [], "the key and every head on the machine were in his hands")
        self.assertNotEqual(self.findings("--head", self.kept), [])

    def test_an_edited_and_recomputed_chain_does_not_have_the_hash_of_the_kept_head(self):
        sqlite(self.copy, TRIGGERS + "UPDATE audit SET detail = '{}' WHERE id = 5;")
        recompute(self.copy)
        self.assertIn(("recomputed", 1, self.count), self.findings(), "the heads on the machine tell, too, while they are there")
        self.forget_own_heads()
        self.assertEqual(self.findings(), [])
        self.assertIn(("recomputed", 1, self.count), self.findings("--head", self.kept))

    def test_recomputing_what_nobody_touched_changes_nothing(self):
        sqlite(self.copy, TRIGGERS)
        recompute(self.copy)
        self.assertEqual(self.findings("--head", self.kept), [], "the second implementation agrees with the first")

    def test_a_name_changed_in_its_side_row(self):
        found = self.tampered("UPDATE audit_personal SET text = '192.0.2.99' WHERE entry = 5 AND part = 0;")
        self.assertEqual(found, [("personal data edited", 5, 5)])

    def test_an_erased_person_leaves_the_log_whole(self):
        sqlite(self.copy, "DELETE FROM audit_personal WHERE user_id = 1;")
        code, found = verify(self.copy, "--head", self.kept)
        self.assertEqual((code, found["whole"]), (0, True))
        self.assertGreater(found["erased"], 5)

    def test_another_key_is_told_apart_from_tampering(self):
        os.remove(os.path.join(self.copy, "keys", "audit.secret"))
        code, text = verify(self.copy)
        self.assertEqual(code, 1)
        self.assertIn("audit.secret is missing", text)

    def test_a_server_goes_on_where_the_chain_ended(self):
        server = muster.Muster(directory=self.copy)
        try:
            server.access_token = server.api("POST", "session", {"email": muster.EMAIL, "password": muster.PASSWORD})["accessToken"]
            code, found = verify(self.copy, "--head", self.kept)
            self.assertEqual((code, found["whole"]), (0, True), "also while it runs")
            self.assertGreater(found["entries"], self.count)
            backup = os.path.join(self.copy, "b.age")
            made = server.command("backup", backup, lines=["a long passphrase"])
            head = os.path.join(self.copy, "printed-head")
            with open(head, "w") as out:
                out.write(made["auditHead"] + "\n")
        finally:
            server.stop(keep=True)
        self.assertEqual(self.findings("--head", head), [])
        restored = os.path.join(self.copy, "restored")
        subprocess.run([muster.BIN, "restore", backup, "--data", restored], input="a long passphrase\n", text=True, check=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        code, found = verify(restored, "--head", head, "--head", self.kept)
        self.assertEqual((code, found["whole"]), (0, True), "the key came along")

    def test_as_csv_no_cell_is_a_formula_and_the_export_is_noted(self):
        rows = list(csv.DictReader(io.StringIO(self.csv[0])))
        self.assertIn("user.update", [row["action"] for row in rows])
        for row in rows:
            for cell in row.values():
                self.assertNotIn(cell[:1], ("=", "+", "-", "@"))
        self.assertIn("audit.export", [row["action"] for row in csv.DictReader(io.StringIO(self.csv[1]))])


if __name__ == "__main__":
    unittest.main(verbosity=1)
