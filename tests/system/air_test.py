# SPDX-License-Identifier: Apache-2.0
"""Dynamic provisioning by three separate programs over the simulated air: muster serve, muster-agent, muster provision."""
import itertools
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import unittest

import muster

AGENT = os.path.join(os.environ["MUSTER_BIN_DIR"], "muster-agent")


class SlowCloud:
    """The cloud behind a door: from the request that holds `word` on, its answers wait until go_on."""

    def __init__(self, port, word):
        self.cloud, self.word = port, word
        self.held, self.go_on = threading.Event(), threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.let_in, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.door.close()

    def let_in(self):
        while True:
            try:
                inside, _ = self.door.accept()
            except OSError:
                return
            outside = socket.create_connection(("127.0.0.1", self.cloud))
            threading.Thread(target=self.pass_on, args=(inside, outside, True), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(outside, inside, False), daemon=True).start()

    def pass_on(self, source, target, asking):
        try:
            while data := source.recv(65536):
                if asking and self.word in data:
                    self.held.set()
                if not asking and self.held.is_set():
                    self.go_on.wait(30)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


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
        self.assertEqual(run.stderr, "", "all is in the events")
        self.check_steps(events)
        return run.returncode, events, run.stderr

    def check_steps(self, events):
        """Each step is begun before it ends, and ends before the next begins."""
        under_way = None
        for event in events:
            if event["event"] == "step":
                self.assertEqual(under_way is None, event["state"] == "begun", events)
                self.assertIn(under_way, (None, event["step"]), events)
                under_way = event["step"] if event["state"] == "begun" else None
        self.assertIsNone(under_way, events)

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
        session = self.server.api("GET", "provision/sessions")["content"][0]
        self.assertEqual((session["state"], session["failure"]["code"]), ("FAILED", 722))
        # The same device takes the right one at once.
        code, events, problems = self.provision("muster-home")
        self.assertEqual((code, events[-1]["event"]), (0, "done"), (events, problems))
        self.assertEqual(len(self.devices()), 1)

    def begin_provision(self, *arguments, environment=None):
        return subprocess.Popen([muster.BIN, "provision", "--radio", "sim:" + self.air, "--json", *arguments],
                                env=environment or dict(self.environment, MUSTER_WIFI_PASSWORD="muster-home"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def session_states(self):
        return [row["state"] for row in self.server.api("GET", "provision/sessions")["content"]]

    def test_each_signal_in_each_step_gets_an_end_in_good_order(self):
        self.wait_open()
        steps = ("find_device", "join_device", "device_info", "get_token", "send_settings", "join_network")
        numbers = itertools.cycle((signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP))
        for step, number in zip(steps, numbers):
            before = len(self.session_states())
            with self.subTest(step=step, signal=number.name), self.begin_provision("--ssid", "Elsewhere") as run:
                lines = []
                for line in run.stdout:
                    lines.append(line)
                    if f'"{step}"' in line and '"begun"' in line:
                        break
                run.send_signal(number)
                lines += run.stdout.read().splitlines()
                events = [json.loads(line) for line in lines]
                self.check_steps(events)
                # There is no such network: where the device has the settings, it may have said so first.
                codes = (910, 720) if step == "join_network" else (910,)
                self.assertEqual(events[-1]["event"], "failed")
                self.assertIn(events[-1]["code"], codes)
                self.assertEqual(run.wait(20), 1)
                made = self.session_states()[:len(self.session_states()) - before]
                self.assertIn(made, ([], ["CANCELED"] if events[-1]["code"] == 910 else ["FAILED"]))
            self.stop_agent()
            self.start_agent()
            self.wait_open()
        self.assertEqual(self.devices(), [])

    def test_nobody_who_looks_on_sees_a_secret(self):
        self.wait_open()
        with self.begin_provision("--ssid", "Muster Home") as run:
            self.assertIn("begun", run.stdout.readline())
            for what in ("cmdline", "environ"):
                with open(f"/proc/{run.pid}/{what}", "rb") as seen:
                    self.assertNotIn(b"muster-home", seen.read(), what)
            shown = run.stdout.read()
            self.assertEqual(run.wait(60), 0, shown)
        for text in (shown, pathlib.Path(self.log_path).read_text()):
            self.assertNotIn("muster-home", text)

    def test_whoever_is_impatient_gets_the_same_end(self):
        """Further signals change nothing: the host's Wi-Fi is put back, the cloud is told, and the last event is written."""
        self.wait_open()
        with SlowCloud(self.server.port, b"DELETE ") as cloud:
            environment = dict(self.environment, MUSTER_WIFI_PASSWORD="muster-home", MUSTER_URL=f"http://127.0.0.1:{cloud.port}")
            with self.begin_provision("--ssid", "Elsewhere", environment=environment) as run:
                for line in run.stdout:
                    if '"get_token"' in line and '"done"' in line:
                        break
                run.send_signal(signal.SIGINT)
                self.assertTrue(cloud.held.wait(20))  # It waits for the cloud now.
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                    run.send_signal(number)
                    time.sleep(0.1)
                self.assertIsNone(run.poll(), "ended by a second signal")
                cloud.go_on.set()
                events = [json.loads(line) for line in run.stdout.read().splitlines()]
                self.assertEqual((events[-1]["event"], events[-1]["code"]), ("failed", 910))
                self.assertEqual(run.wait(20), 1)
        self.assertEqual(self.session_states(), ["CANCELED"])

    def test_only_the_very_device_is_reconfigured(self):
        self.wait_open()
        code, events, problems = self.provision("muster-home")
        self.assertEqual(code, 0, (events, problems))
        device = events[-1]["deviceId"]
        self.wait_for(lambda event: event.get("step") == "stored")
        end = time.monotonic() + 20
        while time.monotonic() < end:  # It tells the cloud who it is.
            facts = self.server.api("GET", f"organization/device/metafield?deviceId={device}")["content"]
            if all(row["value"] for row in facts if row["name"] in ("Hotspot Name", "Device UID")):
                break
            time.sleep(0.05)
        store = "neighbour"
        neighbour_log = os.path.join(self.directory, "neighbour.log")
        with open(neighbour_log, "wb") as log:
            neighbour = subprocess.Popen(
                [AGENT, "--store", os.path.join(self.directory, store), "--template", self.template, "--template-name", "Lamp", "--radio",
                 "sim:" + self.air, "--ca", os.path.join(self.server.directory, "tls", "ca.crt"), "--json"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + 20
            while b'"setup_opened"' not in pathlib.Path(neighbour_log).read_bytes() and time.monotonic() < end:
                time.sleep(0.05)
            # Both wait for set-up: the device, because the cloud asks it to, and its neighbour.
            code, events, problems = self.provision("muster-home", arguments=["--reconfigure", str(device)])
            self.assertEqual((code, events[-1].get("deviceId")), (0, device), (events, problems))
            self.assertEqual([row["id"] for row in self.devices()], [device])
            # The device is away: its neighbour is none.
            self.stop_agent()
            code, events, _ = self.provision("muster-home", arguments=["--reconfigure", str(device)])
            self.assertEqual((code, events[-1]["code"], events[-1]["step"]), (1, 900, "find_device"), events)
            self.assertIn("not device", events[-1]["message"])
            self.assertNotIn(b'"settings_taken"', pathlib.Path(neighbour_log).read_bytes())
        finally:
            neighbour.send_signal(signal.SIGTERM)
            neighbour.wait(20)

    def test_who_reads_along_may_go(self):
        self.wait_open()
        with self.begin_provision("--ssid", "Muster Home") as run:
            self.assertIn("begun", run.stdout.readline())
            run.stdout.close()
            self.assertEqual(run.wait(60), 1)  # What it had to say went nowhere.
        self.assertEqual(len(self.devices()), 1)
        self.assertEqual(self.session_states(), ["DONE"])

    def test_a_token_that_comes_after_the_end_is_canceled(self):
        self.wait_open()
        with SlowCloud(self.server.port, b"provision/token") as cloud:
            environment = dict(self.environment, MUSTER_WIFI_PASSWORD="muster-home", MUSTER_URL=f"http://127.0.0.1:{cloud.port}")
            with self.begin_provision("--ssid", "Muster Home", environment=environment) as run:
                self.assertTrue(cloud.held.wait(20))
                run.send_signal(signal.SIGINT)
                time.sleep(0.5)
                self.assertEqual(self.session_states(), ["TOKEN_ISSUED"])
                cloud.go_on.set()
                last = json.loads(run.stdout.read().splitlines()[-1])
                self.assertEqual((last["event"], last["code"]), ("failed", 910))
                self.assertEqual(run.wait(20), 1)
        self.assertEqual(self.session_states(), ["CANCELED"])

    def test_the_password_is_read_before_anything_is_begun(self):
        self.wait_open()
        with self.begin_provision("--ssid", "Muster Home", "--password-stdin") as run:  # Nothing comes there.
            lines = run.stdout.read().splitlines()
            self.assertEqual(run.wait(20), 2)
        self.assertEqual([json.loads(line)["event"] for line in lines], ["failed"])
        self.assertEqual(self.session_states(), [])
        # Nobody types: Ctrl-C ends that too.
        run = subprocess.Popen([muster.BIN, "provision", "--radio", "sim:" + self.air, "--json", "--ssid", "Muster Home", "--password-stdin"],
                               env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with run:
            time.sleep(1)
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(20), 1)
            lines = run.stdout.read().splitlines()
        self.assertEqual([(json.loads(line)["event"], json.loads(line)["code"]) for line in lines], [("failed", 910)])
        self.assertFalse(any(event.get("step") == "app_seen" for event in self.events()))

    def test_every_end_is_an_event(self):
        nobody = {"MUSTER_URL": "http://127.0.0.1:1", "MUSTER_TOKEN": "x"}
        for arguments, changed, exit_code, code in (
                (["--radio", "magic"], {}, 2, 0),
                (["--radio", "sim:" + self.air, "--reconfigure", "lamp"], {}, 2, 0),
                (["--radio", "wpa:nothing0"], {}, 1, 911),
                (["--radio", "sim:" + self.air, "--ssid", "Muster Home"], nobody, 4, 907),
                (["--radio", "sim:" + self.air, "--reconfigure", "999"], {}, 3, 0),
                (["--radio", "sim:" + self.air, "--template", "nonsense"], {}, 3, 0),
                (["--radio", "sim:" + self.air], {"MUSTER_URL": "", "MUSTER_TOKEN": ""}, 2, 0)):
            with self.subTest(arguments):
                run = subprocess.run([muster.BIN, "provision", "--json", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, timeout=60,
                                     env=dict(self.environment, MUSTER_WIFI_PASSWORD="muster-home", **changed))
                last = json.loads(run.stdout.splitlines()[-1])
                self.assertEqual((run.returncode, last["event"], last["code"]), (exit_code, "failed", code), last)
                self.assertTrue(last["message"])
                self.assertEqual(run.stderr, "")

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
            self.assertFalse(termios.tcgetattr(terminal)[3] & termios.ECHO, "the password would be shown")
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
