# SPDX-License-Identifier: Apache-2.0
"""Database and keys that do not belong together, or were lost one without the other, never make a live device hear 9; commands without
the server find the store that it uses; a reload says what needs a restart; secrets stay out of core dumps."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import muster

CONFIG = "[gateway]\nlogin_hold_ms = 300\n"


class Keys(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-keys-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.servers = []
        self.addCleanup(self.end_servers)

    def end_servers(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, name, **options):
        os.makedirs(self.path(name), exist_ok=True)
        server = muster.Muster(directory=self.path(name), config=CONFIG, **options)
        self.servers.append(server)
        return server

    def wait_for(self, what, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within {seconds} s: {what}")
            time.sleep(0.02)

    def fleet(self, name, devices=3, **options):
        server = self.start(name, **options)
        server.set_up()
        template = server.new_template()
        return server, [server.new_device(template, f"Lamp {i}")["token"] for i in range(devices)]

    def test_with_the_keys_of_another_database_nobody_is_called_invalid(self):
        server, tokens = self.fleet("first")
        self.assertEqual(server.stop(keep=True), 0)
        other, _ = self.fleet("second")
        self.assertEqual(other.stop(keep=True), 0)
        os.rename(self.path("first/keys"), self.path("own-keys"))
        shutil.copytree(self.path("second/keys"), self.path("first/keys"))

        server.port = muster.free_port()
        server.start(wait=False)
        self.wait_for("the log says what is wrong", lambda: "keys_not_of_this_database" in server.log())
        self.assertIn("put the keys/ directory that belongs to it beside it", server.log())
        for token in tokens:
            self.assertIsNone(server.login(token), "held, never called invalid")
            status, body = server.request("GET", f"/external/api/isHardwareConnected?token={token}")
            self.assertEqual(status, 503, body)
        self.assertEqual(server.request("GET", "/readyz")[0], 503)
        self.assertEqual(server.request("GET", "/healthz")[0], 200)
        self.assertFalse(server.ready_event.is_set())

        # The right ones in their place: it goes on by itself.
        shutil.rmtree(self.path("first/keys"))
        os.rename(self.path("own-keys"), self.path("first/keys"))
        server.wait_ready(10)
        self.assertEqual({server.login(token) for token in tokens}, {muster.SUCCESS})

        # While it serves, nothing that lies there makes it forget them.
        os.rename(self.path("first/keys"), self.path("own-keys"))
        shutil.copytree(self.path("second/keys"), self.path("first/keys"))
        self.wait_for("the log says so", lambda: any("key_ring_unreadable" in line and "not those" in line for line in server.log().splitlines()))
        self.assertEqual({server.login(token) for token in tokens}, {muster.SUCCESS})

    def test_a_database_that_was_lost_does_not_make_the_fleet_invalid(self):
        server, tokens = self.fleet("first")
        self.assertEqual(server.stop(keep=True), 0)
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path("first/muster.db" + suffix)):
                os.remove(self.path("first/muster.db" + suffix))
        server.access_token = None
        server.start()
        self.assertIn("database_is_new_keys_are_not", server.log())
        self.assertIn("muster restore --complete", server.log())
        server.set_up()
        new = server.new_device(server.new_template())["token"]
        self.assertEqual(server.login(new), muster.SUCCESS)
        for token in tokens:
            self.assertIsNone(server.login(token), "held, also after the set-up")
        self.assertEqual(server.stop(keep=True), 0)
        server.start()
        self.assertIsNone(server.login(tokens[0]), "and after a restart")
        self.assertEqual(server.command("restore", "--complete", "--yes")["unknownTokens"], "refuse")
        self.wait_for("the server knows", lambda: server.login(tokens[0]) == muster.INVALID_TOKEN)

    def test_an_ordinary_first_set_up_ends_the_hold_also_after_a_restart_before_it(self):
        server = self.start("new")
        self.assertEqual(server.stop(keep=True), 0)
        server.start()
        server.set_up()
        self.assertEqual(server.login("unknown-token-0123456789abcdefgh"), muster.INVALID_TOKEN)

    def test_commands_find_the_store_that_the_server_uses(self):
        store = "sqlite:" + self.path("elsewhere.db")
        server, tokens = self.fleet("first", arguments=["--store", store])
        self.assertFalse(os.path.exists(self.path("first/muster.db")))
        server.command("backup", self.path("b.age"), lines=["a recovery passphrase", "a recovery passphrase"])
        self.assertEqual(server.stop(keep=True), 0)
        # Key 1 stays: the administrator's access token is under it.
        self.assertEqual(server.command("key", "rotate"), {"newestKey": 2, "rotated": 3, "removedKeys": []})
        server.start()
        self.assertEqual({server.login(token) for token in tokens}, {muster.SUCCESS})
        actions = [entry["action"] for entry in server.api("GET", "audit?size=1000")["content"]]
        self.assertEqual((actions.count("key.rotate"), actions.count("store.backup")), (1, 1))
        self.assertEqual(server.stop(keep=True), 0)
        # Without --store it would make an empty database beside the keys of a fleet.
        run = subprocess.run([muster.BIN, "serve", "--data", self.path("first"), "--listen", "127.0.0.1:0"], capture_output=True, text=True,
                             timeout=30)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"--store {store}", run.stderr)
        self.assertFalse(os.path.exists(self.path("first/muster.db")))

    def test_two_rotations_at_the_same_time_lose_no_key(self):
        server, tokens = self.fleet("first", devices=20)
        self.assertEqual(server.stop(keep=True), 0)
        refused = 0
        for _ in range(5):
            running = [subprocess.Popen([muster.BIN, "key", "rotate", "--data", self.path("first"), "--json"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            ends = [(process.communicate(timeout=60), process.returncode) for process in running]
            for (_, errors), code in ends:
                if code != 0:
                    self.assertIn("Another key rotation is running", errors)
                    refused += 1
            self.assertIn(0, [code for _, code in ends])
        server.start()
        self.assertEqual({server.login(token) for token in tokens}, {muster.SUCCESS})
        print(f"10 rotations by twos, {refused} refused", flush=True)

    def test_a_reload_names_what_needs_a_restart(self):
        server = self.start("first")
        with open(self.path("first/muster.toml"), "w") as out:
            out.write(CONFIG + "[api]\nrequests_per_minute_per_organization = 7\n[values]\nmemory_mib = 9\n")
        server.process.send_signal(signal.SIGHUP)
        self.wait_for("the reload", lambda: '"reloaded"' in server.log())
        named = [json.loads(line)["key"] for line in server.log().splitlines() if "key_needs_restart" in line]
        self.assertEqual(named, ["api.requests_per_minute_per_organization", "values.memory_mib"])

    def test_a_command_on_the_data_directory_keeps_its_memory_private(self):
        server = self.start("first")
        self.assertEqual(server.stop(keep=True), 0)
        user = {}
        if os.geteuid() == 0 and subprocess.run(["test", "-x", muster.BIN], user=65534, check=False).returncode == 0:
            user = {"user": 65534}
            for folder, folders, files in os.walk(self.directory):
                for name in [folder] + [os.path.join(folder, name) for name in folders + files]:
                    os.chown(name, 65534, 65534)
        process = subprocess.Popen([muster.BIN, "backup", self.path("first.age"), "--data", self.path("first")], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **user)
        try:
            def core_limit():
                with open(f"/proc/{process.pid}/limits") as limits:
                    return [line.split()[4] for line in limits if line.startswith("Max core file size")][0]
            self.wait_for("core dumps are off", lambda: core_limit() == "0")
            if user or os.geteuid() != 0:  # The kernel gives what belongs to a process that must not be dumped to root.
                self.wait_for("it is closed to its user", lambda: os.stat(f"/proc/{process.pid}/maps").st_uid == 0)
        finally:
            process.kill()
            process.communicate(timeout=10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
