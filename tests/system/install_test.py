# SPDX-License-Identifier: Apache-2.0
"""`cmake --install` into an empty prefix: programs that start, units that systemd accepts, completions that their shells accept."""
import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["MUSTER_BUILD_TREE"]


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.mkdtemp(prefix="muster-install-")
        cls.addClassCleanup(shutil.rmtree, cls.prefix, ignore_errors=True)
        done = run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        if done.returncode != 0:
            raise AssertionError(done.stdout)

    def path(self, *parts):
        path = os.path.join(self.prefix, *parts)
        self.assertTrue(os.path.exists(path), path)
        return path

    def accepted(self, *command):
        done = run(*command)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}")
        return done.stdout

    def test_programs_start(self):
        self.assertIn("muster ", self.accepted(self.path("bin", "muster"), "version"))
        self.accepted(self.path("bin", "muster-agent"), "--version")

    def test_what_to_read_is_there(self):
        for name in ("LICENSE", "README.md", "CHANGELOG.md"):
            self.path("share", "doc", "muster", name)

    def test_systemd_accepts_the_units(self):
        for name, start in (("muster", "muster serve "), ("muster-agent", "muster-agent --store /var/lib/muster-agent ")):
            unit = self.path("lib", "systemd", "system", name + ".service")
            with open(unit) as text:
                content = text.read()
            self.assertIn(f"ExecStart={self.prefix}/bin/{start}", content)
            self.assertNotIn("@", content.replace("SystemCallFilter=@", "").replace("SystemCallFilter=~@", ""), "all is filled in")
            if shutil.which("systemd-analyze"):
                self.assertEqual(self.accepted("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit).strip(), "")
                print(f"systemd-analyze: {name} accepted", flush=True)

    def test_shells_accept_their_completions(self):
        files = {"bash": self.path("share", "bash-completion", "completions", "muster"),
                 "zsh": self.path("share", "zsh", "site-functions", "_muster"),
                 "fish": self.path("share", "fish", "vendor_completions.d", "muster.fish")}
        for shell, file in files.items():
            with open(file) as text:
                content = text.read()
            for word in ("device", "datastream", "rotate"):
                self.assertIn(word, content, shell)
            if shutil.which(shell):
                self.accepted(shell, "-n", file)
        words = self.accepted("bash", "-c", f'source {files["bash"]}; complete -p muster')
        self.assertIn("muster", words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
