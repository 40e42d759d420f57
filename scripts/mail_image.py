#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/images/invitation-mail.png: the HTML part of an invitation that a real server sent to a mail server on loopback, as Debian's
chromium shows it. The link in it belongs to a server that is gone when the picture is there.

Usage: MUSTER_BIN_DIR=build/dev/bin scripts/mail_image.py [FILE.png]"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

import mail_test  # noqa: E402
import muster  # noqa: E402

CONFIG = """[mail]
url = "smtp://localhost:{port}"
tls = "none"
from = "accounts@pumps.example"
[brand]
name = "North Pumps"
color = "#0b6e4f"
support = "help@pumps.example"
terms_url = "https://pumps.example/terms"
privacy_url = "https://pumps.example/privacy"
"""


def draw(picture):
    with tempfile.TemporaryDirectory(prefix="muster-mail-image-") as directory:
        postbox = mail_test.Postbox(directory, "plain")
        data = os.path.join(directory, "data")
        os.mkdir(data)
        server = muster.Muster(directory=data, config=CONFIG.format(port=postbox.port), arguments=("--public-url", "https://iot.pumps.example"))
        try:
            server.set_up()
            home = server.api("POST", "organization/create", {"name": "Harbour workshop"})
            server.api("POST", "users/invite", {"email": "ada@example.org", "name": "Ada", "role": "Staff", "orgId": home["id"]})
            html = mail_test.body_of(postbox.wait(1)[0], "html")
        finally:
            server.stop()
            postbox.stop()
        page = os.path.join(directory, "mail.html")
        with open(page, "w") as out:
            out.write(html)
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
                        f"--user-data-dir={directory}/chromium", "--window-size=620,436", f"--screenshot={picture}", f"file://{page}"],
                       check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    target = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "docs", "images", "invitation-mail.png"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    draw(target)
    print(f"{target}: {os.path.getsize(target):,} bytes")
