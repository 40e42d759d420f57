# SPDX-License-Identifier: Apache-2.0
"""Mail through a real SMTP server on loopback, read back: STARTTLS and TLS, greylisting, refusals, hangs, kill -9, and what links do."""
import email
import email.policy
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import muster

PUBLIC_URL = "https://muster.example"
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's aiosmtpd.


class Postbox:
    """mail_server.py in a process of its own."""

    def __init__(self, directory, security):
        self.folder = os.path.join(directory, "mail")
        os.makedirs(self.folder, exist_ok=True)
        self.certificate, key = os.path.join(directory, "mail.crt"), os.path.join(directory, "mail.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True)
        self.process = subprocess.Popen([PYTHON, os.path.join(os.path.dirname(__file__), "mail_server.py"), self.folder, security, self.certificate, key],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())

    def behave(self, mode):
        with open(os.path.join(self.folder, "mode.new"), "w") as out:
            out.write(mode)
        os.rename(os.path.join(self.folder, "mode.new"), os.path.join(self.folder, "mode"))

    def mails(self):
        return sorted((name for name in os.listdir(self.folder) if name.endswith(".eml")), key=lambda name: int(name.split(".")[0]))

    def wait(self, count, seconds=20):
        end = time.monotonic() + seconds
        while len(self.mails()) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{len(self.mails())} mails of {count}")
            time.sleep(0.05)
        return [self.read(name) for name in self.mails()]

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as text:
            sender, recipient, content = text.read().split(b"\n", 2)
        message = email.message_from_bytes(content, policy=email.policy.default)
        message.envelope = (sender.decode(), recipient.decode())
        return message

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def body_of(message, kind):
    return message.get_body((kind,)).get_content()


def link_of(message):
    return re.search(re.escape(PUBLIC_URL) + r"(/account/\S+)", body_of(message, "plain")).group(1)


class Mail(unittest.TestCase):
    security = "starttls"

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="muster-mail-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.postbox = Postbox(self.directory, self.security)
        self.addCleanup(self.postbox.stop)
        password = os.path.join(self.directory, "password")
        with open(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
            out.write("mail secret\n")
        scheme = "smtps" if self.security == "tls" else "smtp"
        self.config = f"""[mail]
url = "{scheme}://localhost:{self.postbox.port}"
user = "muster"
password_file = "{password}"
from = "muster@example.org"
ca_file = "{self.postbox.certificate}"
timeout_s = 3
retry_first_ms = 300
[brand]
name = "Zoë's <Pumps>"
support = "help@example.org"
[people]
sign_up = "both"
"""
        data = os.path.join(self.directory, "data")
        os.mkdir(data)
        self.server = muster.Muster(directory=data, config=self.config, arguments=("--public-url", PUBLIC_URL))
        self.addCleanup(lambda: self.server.process.poll() is None and self.server.kill())
        self.server.set_up()

    def invite(self, address, **more):
        return self.server.api("POST", "users/invite", {"email": address, **more})

    def accept(self, link, password="new password"):
        return self.server.api("POST", "users/invitation/accept", {"link": link.split("link=")[1], "password": password})

    def mail_rows(self):
        return self.server.api("GET", "mail")["content"]


class StartTls(Mail):
    def test_an_invitation_is_read_back_and_accepted(self):
        answer = self.invite("zoe+tag@example.com", name="<b>שלום</b>")
        self.assertTrue(answer["mailed"])
        self.assertNotIn("link", answer)
        with self.assertRaises(muster.Refused):
            self.invite("other@example.com", name="turned \u202e around")
        message = self.postbox.wait(1)[0]
        self.assertEqual(message.envelope, ("muster@example.org", "zoe+tag@example.com"))
        self.assertEqual(message["To"], "zoe+tag@example.com")
        self.assertEqual(message["From"].addresses[0].display_name, "Zoë's <Pumps>")
        self.assertIn("Invitation", message["Subject"])
        self.assertIn("&lt;Pumps&gt;", body_of(message, "html"))
        self.assertNotIn("<Pumps>", body_of(message, "html"))
        self.assertIn("help@example.org", body_of(message, "plain"))
        link = link_of(message)
        self.assertIn(PUBLIC_URL + link, body_of(message, "html"))
        status, page = self.server.request("GET", link, headers={"Authorization": "", "Host": "evil.example"})
        self.assertEqual(status, 200)
        self.assertIn("&lt;b&gt;שלום&lt;/b&gt;", page)
        self.assertNotIn("evil.example", page)
        self.assertEqual(self.accept(link)["email"], "zoe+tag@example.com")
        with self.assertRaises(muster.Refused) as again:
            self.accept(link)
        self.assertEqual(again.exception.status, 404)

    def test_addresses_of_all_shapes_arrive_or_are_refused_at_once(self):
        longest = "a" * 64 + "@" + ".".join(("b" * 61, "c" * 61, "d" * 61, "org"))
        self.assertEqual(len(longest), 254)
        sent = {longest: longest, "Ada@BÜCHER.example": "ada@xn--bcher-kva.example", "o'neil+tag@example.com": "o'neil+tag@example.com"}
        for given in sent:
            self.invite(given)
        self.assertEqual({message.envelope[1] for message in self.postbox.wait(len(sent))}, set(sent.values()))
        for given in ("zoë@example.com", "a" + longest, "a@b.org\r\nRCPT TO:<c@d.org>", "a@b.org>, <c@d.org"):
            with self.assertRaises(muster.Refused) as refused:
                self.invite(given)
            self.assertEqual(refused.exception.status, 400, given)

    def test_greylisting_is_waited_out(self):
        self.postbox.behave("greylist")
        self.invite("a@example.com")
        end = time.monotonic() + 10
        while not any(row["tries"] >= 2 for row in self.mail_rows()):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertIn("451", self.mail_rows()[0]["reason"])
        self.postbox.behave("take")
        self.postbox.wait(1)

    def test_a_refused_recipient_is_given_up_and_shown(self):
        self.postbox.behave("refuse")
        self.invite("nobody@example.com")
        end = time.monotonic() + 10
        while not any(row["status"] == "given_up" for row in self.mail_rows()):
            self.assertLess(time.monotonic(), end, self.mail_rows())
            time.sleep(0.1)
        self.assertIn("550", self.mail_rows()[0]["reason"])
        self.server.wait_log("mail_given_up")
        self.assertNotIn("nobody@example.com", self.server.log())

    def test_a_sign_in_that_the_server_denies_loses_no_mail(self):
        self.postbox.behave("deny")
        self.invite("a@example.com")
        self.server.wait_log("mail_not_sent")
        self.assertEqual(self.mail_rows()[0]["status"], "waiting")
        self.postbox.behave("take")
        self.postbox.wait(1)

    def test_a_server_that_hangs_holds_nothing_up_but_its_mail(self):
        self.postbox.behave("hang")
        self.invite("a@example.com")
        self.server.wait_log("mail_not_sent", 15)
        self.assertEqual(self.server.request("GET", "/readyz")[0], 200)
        self.postbox.behave("take")
        self.postbox.wait(1, 30)

    def test_nothing_is_lost_by_kill_9(self):
        self.postbox.behave("greylist")
        for number in range(10):
            self.invite(f"user{number}@example.com")
            if number % 3 == 2:
                self.server.kill()
                self.server.start()
        self.server.kill()
        self.postbox.behave("take")
        self.server.start()
        end = time.monotonic() + 60
        while {message.envelope[1] for message in map(self.postbox.read, self.postbox.mails())} != {f"user{n}@example.com" for n in range(10)}:
            self.assertLess(time.monotonic(), end, self.postbox.mails())
            time.sleep(0.2)
        by_recipient = {}
        for message in map(self.postbox.read, self.postbox.mails()):
            by_recipient.setdefault(message.envelope[1], set()).add(message["Message-ID"])
        self.assertTrue(all(len(ids) == 1 for ids in by_recipient.values()), "a mail that is sent again keeps its Message-ID")

    def test_links_and_mails_are_sealed_on_disk(self):
        self.postbox.behave("greylist")
        self.invite("a@example.com")
        self.server.wait_log("mail_not_sent")
        self.postbox.behave("take")
        secret = link_of(self.postbox.wait(1)[0]).split("link=")[1]
        for name in ("muster.db", "muster.db-wal", "log"):
            with open(os.path.join(self.server.directory, name), "rb") as content:
                text = content.read()
            self.assertNotIn(secret.encode(), text, name)
            self.assertNotIn(b"mail secret", text, name)

    def test_a_reset_by_page_and_mail(self):
        self.invite("a@example.com")
        self.accept(link_of(self.postbox.wait(1)[0]), "old password")
        status, _ = self.server.request("POST", "/api/v1/users/reset", {"email": "a@example.com"})
        self.assertEqual(status, 202)
        unknown, text = self.server.request("POST", "/api/v1/users/reset", {"email": "unknown@example.com"})
        self.assertEqual((unknown, text), (202, ""))
        link = link_of(self.postbox.wait(2)[1])
        self.server.api("POST", "users/reset/complete", {"link": link.split("link=")[1], "password": "newer password"})
        self.assertIn("was changed", body_of(self.postbox.wait(3)[2], "plain"))
        signed_in = self.server.api("POST", "session", {"email": "a@example.com", "password": "newer password"})
        self.assertTrue(signed_in["accessToken"])
        time.sleep(3)
        self.assertEqual(len(self.postbox.mails()), 3, "nothing went to the unknown address")

    def test_an_untrusted_certificate_gets_nothing(self):
        self.server.stop(keep=True)
        self.server.config = self.config.replace(f'ca_file = "{self.postbox.certificate}"\n', "")
        self.server.start()
        self.invite("a@example.com")
        self.server.wait_log("mail_not_sent")
        self.assertEqual(self.postbox.mails(), [])
        self.assertEqual(self.mail_rows()[0]["status"], "waiting")


class Tls(Mail):
    security = "tls"

    def test_an_invitation_goes_out(self):
        self.invite("a@example.com")
        self.postbox.wait(1)


class Relay(Mail):
    """A relay that offers no TLS gets nothing until the configuration says that this is meant."""
    security = "plain"

    def test_only_when_it_is_said(self):
        self.server.stop(keep=True)
        without = re.sub(r'(user|password_file) = .*\n', "", self.config)
        self.server.config = without
        self.server.start()
        self.invite("a@example.com")
        self.server.wait_log("mail_not_sent")
        self.assertEqual(self.postbox.mails(), [])
        self.server.stop(keep=True)
        self.server.config = without.replace("[mail]", '[mail]\ntls = "none"')
        self.server.start()
        self.postbox.wait(1)


if __name__ == "__main__":
    unittest.main()
