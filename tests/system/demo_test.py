# SPDX-License-Identifier: Apache-2.0
"""What `./dev run` does after building: fresh, again with the same data, with a default port taken, and when a step fails."""
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

BIN = os.environ["MUSTER_BIN_DIR"]
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "demo.sh")


class Demo(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-demo-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def demo(self, bin_directory=BIN):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
        environment.update(HOME=self.directory, XDG_CONFIG_HOME=os.path.join(self.directory, "config"))
        return subprocess.run(["bash", SCRIPT, bin_directory, "--once"], cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=90)

    def assert_active(self, run):
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for step in ("cloud ready at", "AuthToken accepted", "first values sent", "online: active", "a token that did not exist before"):
            self.assertIn(step, run.stdout)

    def muster_that_refuses(self, *words):
        """A folder of programs in which one command of `muster` fails."""
        folder = os.path.join(self.directory, "bin")
        os.makedirs(folder, exist_ok=True)
        program = os.path.join(folder, "muster")
        with open(program, "w") as out:
            out.write(f'#!/bin/sh\nif [ "$1 $2" = "{" ".join(words)}" ]; then echo "muster: planted" >&2; exit 3; fi\nexec "{BIN}/muster" "$@"\n')
        os.chmod(program, stat.S_IRWXU)
        if not os.path.exists(os.path.join(folder, "muster-agent")):
            os.symlink(os.path.join(BIN, "muster-agent"), os.path.join(folder, "muster-agent"))
        return folder

    def test_fresh_and_again_with_the_same_data(self):
        first = self.demo()
        self.assert_active(first)
        self.assertIn("first administrator", first.stdout)
        for step in ("no credentials in it", "provisioner: get token", "provisioner: reach cloud"):
            self.assertIn(step, first.stdout)
        device = re.search(r"\(id (\d+)\)", first.stdout).group(1)
        second = self.demo()
        self.assert_active(second)
        self.assertNotIn("first administrator", second.stdout)
        self.assertNotIn("(id", second.stdout)  # Nothing is made anew.
        self.assertNotIn("provisioner:", second.stdout)
        self.assertIn(f"sees device {device} online", second.stdout)

    def test_a_default_port_that_is_taken_is_named_and_another_used(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", 8080))
                taken.listen()
            except OSError:
                pass  # Somebody holds it already: as good.
            run = self.demo()
        self.assert_active(run)
        self.assertIn("Port 8080 is taken", run.stderr)
        self.assertNotIn("cloud ready at http://127.0.0.1:8080 ", run.stdout)

    def test_a_step_that_fails_says_so_and_the_exit_status_too_and_the_next_run_goes_on(self):
        run = self.demo(self.muster_that_refuses("template", "create"))
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("demo: the template could not be created", run.stderr)
        self.assertNotIn("Stopped.", run.stdout)
        run = self.demo(self.muster_that_refuses("device", "create"))
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("demo: the device could not be created", run.stderr)
        self.assert_active(self.demo())

    def test_a_server_that_cannot_start_is_a_failure(self):
        os.mkdir(os.path.join(self.directory, ".muster"))
        with open(os.path.join(self.directory, ".muster", "data"), "w") as out:
            out.write("not a directory")
        run = self.demo()
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("demo: the server ended", run.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
