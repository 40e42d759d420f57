# SPDX-License-Identifier: Apache-2.0
"""Dynamic provisioning by three separate programs over the simulated air: muster serve, muster-agent, muster provision."""
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import muster

AGENT = os.path.join(os.environ["MUSTER_BIN_DIR"], "muster-agent")


class Air(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-air-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.server = muster.Muster()
        self.addCleanup(self.server.stop)
        self.server.set_up()
        self.template = self.server.new_template("Lamp")
        self.environment = dict(os.environ, XDG_CONFIG_HOME=self.directory, MUSTER_URL=f"http://127.0.0.1:{self.server.port}",
                                MUSTER_TOKEN=self.server.access_token)
        self.air = os.path.join(self.directory, "air")
        self.agent = None
        self.start_agent()

    def tearDown(self):
        self.stop_agent()

    def start_agent(self, *more):
        self.log_path = os.path.join(self.directory, "agent.log")
        with open(self.log_path, "wb") as log:
            self.agent = subprocess.Popen(
                [AGENT, "--store", os.path.join(self.directory, "lamp"), "--template", self.template, "--template-name", "Lamp", "--radio",
                 "sim:" + self.air, "--ca", os.path.join(self.server.directory, "tls", "ca.crt"), "--json", *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def stop_agent(self):
        if self.agent:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(20)
            self.agent = None

    def events(self):
        with open(self.log_path) as log:
            return [json.loads(line) for line in log if line.startswith("{") and line.endswith("}\n")]

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(what(event) for event in self.events()):
                return
            time.sleep(0.02)
        with open(self.log_path) as log:
            self.fail("not seen in " + log.read()[-3000:])

    def wait_open(self):
        self.wait_for(lambda event: event.get("step") == "setup_opened")

    def provision(self, password, ssid="Muster Home", arguments=()):
        run = subprocess.run([muster.BIN, "provision", "--radio", "sim:" + self.air, "--ssid", ssid, "--password-stdin", "--json", *arguments],
                             input=password + "\n", env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
        events = [json.loads(line) for line in run.stdout.splitlines()]
        return run.returncode, events, run.stderr

    def devices(self):
        return self.server.api("GET", "organization/devices")["content"]

    def test_a_device_without_credentials_becomes_active(self):
        self.wait_open()
        code, events, problems = self.provision("muster-home", arguments=["--template", self.template])
        self.assertEqual(code, 0, (events, problems))
        device = events[-1]["deviceId"]
        self.assertEqual(events[-1]["event"], "done")
        self.assertEqual([row["id"] for row in self.devices()], [device])
        self.wait_for(lambda event: event.get("step") == "stored")
        # Its settings are its own now.
        self.stop_agent()
        self.start_agent()
        self.wait_for(lambda event: event.get("event") == "online")
        self.assertFalse(any(event.get("step") == "setup_opened" for event in self.events()))
        sessions = self.server.api("GET", "provision/sessions")["content"]
        self.assertEqual([(row["state"] in ("ACTIVE", "DONE"), row["deviceId"], row["failure"]) for row in sessions], [(True, device, None)])

    def test_a_wrong_password_is_named_and_leaves_no_device(self):
        self.wait_open()
        code, events, _ = self.provision("not the password")
        self.assertNotEqual(code, 0)
        self.assertEqual((events[-1]["event"], events[-1]["code"], events[-1]["step"]), ("failed", 722, "join_network"))
        self.assertIn("Type the password again", events[-1]["fix"])
        self.assertEqual(self.devices(), [])
        # The same device takes the right one at once.
        code, events, problems = self.provision("muster-home")
        self.assertEqual((code, events[-1]["event"]), (0, "done"), (events, problems))
        self.assertEqual(len(self.devices()), 1)

    def test_a_person_may_type_a_wrong_password_again(self):
        self.wait_open()
        program, terminal = pty.fork()
        if program == 0:
            os.execve(muster.BIN, [muster.BIN, "provision", "--radio", "sim:" + self.air, "--ssid", "Muster Home"], self.environment)
        shown = b""

        def read_until(text, seconds=30):
            nonlocal shown
            end = time.monotonic() + seconds
            while text not in shown:
                ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
                self.assertTrue(ready, shown)
                try:
                    shown += os.read(terminal, 4096)
                except OSError:  # It has ended.
                    self.assertIn(text, shown)
            shown = shown.split(text, 1)[1]

        try:
            read_until(b"Password of Muster Home: ")
            os.write(terminal, b"not the password\n")
            read_until(b"FAILED  join_network")
            read_until(b"Password of Muster Home: ")
            os.write(terminal, b"muster-home\n")
            read_until(b"is online.")
            _, status = os.waitpid(program, 0)
            program = 0
            self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        finally:
            if program:
                os.kill(program, signal.SIGKILL)
                os.waitpid(program, 0)
            os.close(terminal)
        # One set-up, one device.
        self.assertEqual(len(self.devices()), 1)
        self.assertEqual(len(self.server.api("GET", "provision/sessions")["content"]), 1)

    def test_the_names_of_devices_begin_as_their_template_says(self):
        self.stop_agent()
        self.template = self.server.api("POST", "template/create", {"name": "Acme lamp", "hotspotPrefix": "Acme"})["templateId"]
        self.start_agent("--vendor", "Acme")
        self.wait_open()
        code, events, problems = self.provision("muster-home", arguments=["--template", self.template])
        self.assertEqual((code, events[-1]["event"]), (0, "done"), (events, problems))

    def test_a_network_that_is_not_there_is_named(self):
        self.wait_open()
        code, events, _ = self.provision("muster-home", ssid="Elsewhere")
        self.assertNotEqual(code, 0)
        self.assertEqual((events[-1]["event"], events[-1]["code"]), ("failed", 720))
        self.assertEqual(self.devices(), [])


if __name__ == "__main__":
    unittest.main()
