# SPDX-License-Identifier: Apache-2.0
"""The serial console of muster-agent, over a pseudo-terminal and over its own input and output."""
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
import unittest

import muster

AGENT = os.path.join(os.environ["MUSTER_BIN_DIR"], "muster-agent")


class SerialConsole(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-console-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.agent = None
        self.tty = os.path.join(self.directory, "tty")
        self.terminal = self.line = None
        self.seen = b""

    def tearDown(self):
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.assertEqual(self.agent.wait(20), 0)
        self.unplug()

    def plug_in(self):
        """A serial line at the same place in /dev each time, as udev does it."""
        self.terminal, line = pty.openpty()
        self.line = line  # Held open, so that the agent's closing does not look like the end of the line.
        os.symlink(os.ttyname(line), self.tty + ".new")
        os.rename(self.tty + ".new", self.tty)

    def unplug(self):
        for fd in (self.terminal, self.line):
            if fd is not None:
                os.close(fd)
        self.terminal = self.line = None

    def start(self, *arguments, template="TMPLabcdefghi", console=None):
        self.log = open(os.path.join(self.directory, "agent.log"), "wb+")
        self.addCleanup(self.log.close)
        self.agent = subprocess.Popen(
            [AGENT, "--store", os.path.join(self.directory, "lamp"), "--template", template, "--template-name", "Lamp", "--radio",
             "sim:" + os.path.join(self.directory, "air"), "--console", console or self.tty, *arguments],
            stdin=subprocess.PIPE if console else subprocess.DEVNULL, stdout=subprocess.PIPE if console else self.log, stderr=self.log)

    def events(self):
        with open(self.log.name) as log:
            return [json.loads(line) for line in log if line.startswith("{") and line.endswith("}\n")]

    def wait_event(self, what, seconds=20):
        end = time.monotonic() + seconds
        while not any(what(event) for event in self.events()):
            self.assertLess(time.monotonic(), end, self.events()[-5:])
            time.sleep(0.05)

    def read_until(self, text, fd=None, seconds=20):
        """What was shown before `text`."""
        fd = self.terminal if fd is None else fd
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, self.seen)
            piece = os.read(fd, 4096)
            self.assertTrue(piece, self.seen)
            self.seen += piece
        before, self.seen = self.seen.split(text, 1)
        return before

    def say(self, line):
        os.write(self.terminal, line + b"\n")

    def test_a_factory_makes_a_device_active_over_a_serial_line(self):
        server = muster.Muster()
        self.addCleanup(server.stop)
        server.set_up()
        template = server.new_template("Lamp")
        token = server.new_device(template)["token"]
        self.plug_in()
        self.start("--json", "--plain", template=template)
        self.wait_event(lambda event: event.get("step") == "setup_opened")
        settings = termios.tcgetattr(self.line)
        self.assertEqual((settings[4], settings[5]), (termios.B115200, termios.B115200))
        self.assertFalse(settings[3] & (termios.ICANON | termios.ECHO))
        self.assertEqual(settings[2] & termios.CSIZE, termios.CS8)
        self.say(b"devinfo")
        shown = self.read_until(b"last_error: 0\r\n")
        self.assertIn(b"template: " + template.encode() + b"\r\n", shown)
        self.assertIn(b"name: Blynk Lamp-", shown)
        self.say(b'wifi "Muster Home" "muster-home"')
        self.read_until(b"ok\r\n")
        self.say(f"connect {token} 127.0.0.1:{server.port}".encode())
        self.read_until(b"ok\r\n")
        self.read_until(b"step: stored\r\n")
        self.read_until(b"step: online\r\n")
        self.say(b"wifi")
        self.assertIn(b"joined: yes", self.read_until(b"rssi: "))

    def test_nonsense_is_refused_and_changes_nothing(self):
        self.plug_in()
        self.start("--json")
        self.wait_event(lambda event: event.get("step") == "setup_opened")
        self.say(b"x" * 5000)
        self.read_until(b"error: line too long\r\n")
        self.say(bytes(range(11)) + b"\x7f\x80\xff\x1b[A" + bytes(range(14, 256)))
        self.read_until(b"error: unknown command")
        self.say(b"connect short")
        self.read_until(b"error: configuration invalid\r\n")
        for _ in range(200):  # Faster than anybody reads.
            self.say(b"help")
        self.read_until(b"reboot\r\n")
        time.sleep(0.3)
        self.seen = b""
        termios.tcflush(self.terminal, termios.TCIFLUSH)
        self.say(b"devinfo")
        self.read_until(b"state: wait_config\r\n")

    def test_a_line_that_hangs_up_is_opened_again(self):
        self.start("--json")  # It is not there yet.
        self.wait_event(lambda event: "is not there" in event.get("text", ""))
        self.wait_event(lambda event: event.get("step") == "setup_opened")
        self.plug_in()
        self.say(b"\nhalf a line, then")  # Before it is open: may be lost.
        time.sleep(3)
        self.seen = b""
        os.write(self.terminal, b"\ndevinfo\n")
        self.read_until(b"last_error: 0\r\n")
        os.write(self.terminal, b"config era")
        time.sleep(0.2)
        self.unplug()
        time.sleep(0.5)
        self.assertIsNone(self.agent.poll())
        self.seen = b""
        self.plug_in()
        end = time.monotonic() + 15
        while b"unknown command" not in self.seen and time.monotonic() < end:
            self.say(b"se")  # Were the half line still there, this would erase the device.
            if select.select([self.terminal], [], [], 0.5)[0]:
                self.seen += os.read(self.terminal, 4096)
        self.assertIn(b"unknown command", self.seen)
        self.assertFalse(any(event.get("step") == "reset" for event in self.events()))

    def test_the_programs_own_terminal(self):
        self.start(console="-")
        self.agent.stdin.write(b"devinfo\n")
        self.agent.stdin.flush()
        shown = self.read_until(b"last_error: 0\n", self.agent.stdout.fileno())
        self.assertIn(b"name: Blynk Lamp-", shown)
        self.assertNotIn(b"\r", shown)
        self.agent.stdin.close()
        time.sleep(0.5)
        self.assertIsNone(self.agent.poll())  # The device goes on.
        self.agent.stdout.close()


if __name__ == "__main__":
    unittest.main()
