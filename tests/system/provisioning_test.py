# SPDX-License-Identifier: Apache-2.0
"""Dynamic provisioning against a real server: from a token to a device that exists, and everything that can go wrong on the way."""
import json
import shutil
import socket
import sqlite3
import struct
import time
import unittest

import muster

INFO = 17
HARDWARE = 20


def info_body(template, version="1.0.0"):
    pairs = ["ver", "1.3.2", "mcu", version, "fw-type", template or "none", "build", "Nov 24 2026", "h-beat", "40", "buff-in", "1024", "dev", "ESP32"]
    if template:
        pairs += ["tmpl", template]
    return "\0".join(pairs).encode() + b"\0"


class Device:
    """One connection that speaks as an agent does while it becomes active."""

    opened = []

    def __init__(self, server, token):
        self.status, self.socket = server.login(token, keep=True)
        self.opened.append(self.socket)

    def say_info(self, template, message=2):
        """The status that the info hears; None: closed without one."""
        try:
            self.socket.sendall(muster.frame(INFO, message, info_body(template)))
            while True:
                answer = muster.read_frame(self.socket)
                if answer is None:
                    return None
                if answer[0] == 0 and answer[1] == message:
                    return answer[2]
        except (ConnectionError, socket.timeout):
            return None

    def write(self, pin, value):
        self.socket.sendall(muster.frame(HARDWARE, 3, f"vw\0{pin}\0{value}".encode()))

    def is_open(self):
        """Answers a ping."""
        try:
            self.socket.sendall(muster.frame(6, 9))
            return muster.read_frame(self.socket) == (0, 9, 200)
        except (ConnectionError, socket.timeout, TypeError):
            return False

    def closes(self, seconds=5):
        """Another session took its place: it is told by its own loop, a moment later."""
        end = time.monotonic() + seconds
        while self.is_open():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def close(self):
        self.socket.close()


class Provisioning(unittest.TestCase):
    def setUp(self):
        self.server = muster.Muster()
        self.server.set_up()
        self.template = self.server.new_template()

    def tearDown(self):
        while Device.opened:
            Device.opened.pop().close()
        if self.server.process.poll() is None:
            self.server.kill()
        shutil.rmtree(self.server.directory, ignore_errors=True)

    def token(self, **wanted):
        return self.server.api("POST", "organization/device/provision/token", wanted)

    def session(self, issued):
        return self.server.api("GET", f"provision/session?sessionId={issued['sessionId']}")

    def wait_state(self, issued, state, seconds=5):
        end = time.monotonic() + seconds
        while True:
            session = self.session(issued)
            if session["state"] == state:
                return session
            if time.monotonic() > end:
                self.fail(f"{session['state']} instead of {state}: {session}")
            time.sleep(0.02)

    def steps(self, session):
        return [step["step"] for step in session["steps"]]

    def devices(self):
        return self.server.api("GET", "organization/devices")["content"]

    def wait_status(self, token, status, seconds=5):
        """The registry's answer may be a moment behind the session's end."""
        end = time.monotonic() + seconds
        while True:
            heard = self.server.login(token)
            if heard == status:
                return
            if time.monotonic() > end:
                self.fail(f"heard {heard}, not {status}")
            time.sleep(0.05)

    def change_database(self, sql, *arguments):
        """Behind the server's back, while it is not running."""
        self.server.kill()
        database = sqlite3.connect(f"{self.server.directory}/muster.db")
        with database:
            database.execute(sql, arguments)
        database.close()
        self.server.start()

    # --- it works -------------------------------------------------------------------------------------------------------------------

    def test_from_a_token_to_the_first_value(self):
        issued = self.token(uid="A1B2", client="Test app 1.0")
        self.assertEqual(len(issued["token"]), 32)
        self.assertEqual(issued["host"], "127.0.0.1")
        self.assertEqual(issued["portPlain"], self.server.port)
        self.assertEqual(issued["port"], int(self.server.ready["https"].rsplit(":", 1)[1]))
        self.assertEqual(sorted(issued["warnings"]), ["host_is_loopback", "port_not_dialed"])
        self.assertAlmostEqual(issued["expiresAt"] / 1000, time.time() + 24 * 3600, delta=60)
        self.assertEqual(self.session(issued)["state"], "TOKEN_ISSUED")
        self.assertEqual(self.devices(), [], "no row before the info")
        path = f"provision/session/{issued['sessionId']}/step"
        self.server.api("POST", path, {"step": "board_info", "message": "Muster Lamps-4E5F"})
        self.server.api("POST", path, {"step": "config_sent"})
        self.assertEqual(self.session(issued)["state"], "DELIVERING")

        device = Device(self.server, issued["token"])
        self.assertEqual(device.status, 200)
        self.wait_state(issued, "CONNECTED")
        self.assertEqual(self.devices(), [], "still no row")
        self.assertEqual(device.say_info(self.template), 200)
        rows = self.devices()
        self.assertEqual([row["id"] for row in rows], [issued["deviceId"]])
        self.assertEqual(rows[0]["templateId"], self.template)
        self.assertEqual(rows[0]["activationWay"], "dynamic")
        self.assertGreater(rows[0]["activatedAt"], 0)
        device.write(1, "21.5")
        device.write(1, "22.5")
        end = time.monotonic() + 5
        while "first_value" not in self.steps(self.session(issued)) and time.monotonic() < end:
            time.sleep(0.02)
        session = self.session(issued)
        self.assertEqual(session["state"], "ACTIVE")
        self.assertIsNone(session["failure"])
        self.assertEqual(self.steps(session), ["token_issued", "board_info", "config_sent", "login", "active", "first_value"])
        self.assertEqual([step["source"] for step in session["steps"]], ["cloud", "app", "app", "cloud", "cloud", "cloud"])
        self.assertTrue(device.is_open())

        # Second login, after a power cut: an ordinary device by now, and no second first value.
        device.close()
        again = Device(self.server, issued["token"])
        self.assertEqual(again.status, 200)
        self.assertEqual(again.say_info(self.template), 200)
        again.write(1, "23.5")
        self.assertTrue(again.is_open())
        self.assertEqual(self.steps(self.session(issued)).count("first_value"), 1)
        self.server.api("POST", path, {"step": "done"})
        self.assertEqual(self.session(issued)["state"], "DONE")
        self.assertEqual(len(self.devices()), 1)
        again.close()
        self.assertEqual(self.server.metric("muster_provision_accepted_total"), 1)

    def test_metadata_that_firmware_reports_is_kept(self):
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.assertEqual(device.say_info(self.template), 200)
        for name, value in (("Hotspot Name", "Muster Lamps-4E5F"), ("Device UID", "A1B2C3"), ("Time Zone", "Asia/Tokyo")):
            device.socket.sendall(muster.frame(INFO, 5, f"meta\0set\0{name}\0{value}".encode()))
        self.assertTrue(device.is_open())
        wanted = {"Hotspot Name": "Muster Lamps-4E5F", "Device UID": "A1B2C3", "Device Timezone": "Asia/Tokyo"}
        end = time.monotonic() + 5
        while True:
            fields = self.server.api("GET", f"organization/device/metafield?deviceId={issued['deviceId']}")["content"]
            seen = {field["name"]: field["value"] for field in fields if field["name"] in wanted}
            if seen == wanted or time.monotonic() > end:
                break
            time.sleep(0.05)
        self.assertEqual(seen, wanted)
        device.socket.sendall(muster.frame(INFO, 6, b"utc\0tz_name"))
        device.socket.settimeout(5)
        command, message, body = muster.read_frame(device.socket)
        self.assertEqual((command, message, body), (INFO, 6, b"utc\0tz_name\0Asia/Tokyo"))
        device.close()

    def test_many_at_once(self):
        issued = [self.token() for _ in range(20)]
        devices = [Device(self.server, one["token"]) for one in issued]
        for device in devices:
            device.socket.sendall(muster.frame(INFO, 2, info_body(self.template)))
        for device in devices:
            self.assertEqual(muster.read_frame(device.socket), (0, 2, 200))
        self.assertEqual(sorted(row["id"] for row in self.devices()), sorted(one["deviceId"] for one in issued))
        for device in devices:
            device.close()

    # --- it fails -------------------------------------------------------------------------------------------------------------------

    def test_an_unknown_template_fails_and_the_next_login_hears_9(self):
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.assertEqual(device.status, 200)
        self.assertIsNone(device.say_info("TMPLnobody12"))
        session = self.wait_state(issued, "FAILED")
        self.assertEqual(session["failure"]["code"], 800)
        self.assertEqual(session["failure"]["name"], "template_unknown")
        for text in ("sentence", "cause", "fix"):
            self.assertTrue(session["failure"][text])
        self.assertEqual(session["steps"][-1], {"at": session["steps"][-1]["at"], "source": "cloud", "step": "info_refused", "code": 800,
                                                "message": "TMPLnobody12"})
        self.assertEqual(self.server.login(issued["token"]), 9)
        self.assertEqual(self.devices(), [])
        later = self.server.new_device(self.template, "By hand")
        self.assertGreater(later["id"], issued["deviceId"], "a reserved id never comes again")

    def test_a_template_of_another_organization_fails(self):
        branch = self.server.api("POST", "organization/create", {"name": "Branch"})["id"]
        other = self.server.new_template("Theirs")
        # People make templates at the root only; this one is made another organization's.
        self.change_database("UPDATE template SET organization_id = ? WHERE name = 'Theirs'", branch)
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.assertIsNone(device.say_info(other))
        self.assertEqual(self.wait_state(issued, "FAILED")["failure"]["name"], "template_foreign")
        self.assertEqual(self.server.login(issued["token"]), 9)
        self.assertEqual(self.devices(), [])

    def test_the_template_that_the_app_saw_must_be_the_devices(self):
        second = self.server.new_template("Pumps")
        issued = self.token(templateId=self.template)
        self.assertIsNone(Device(self.server, issued["token"]).say_info(second))
        self.assertEqual(self.wait_state(issued, "FAILED")["failure"]["code"], 809)

    def test_canceled_and_superseded(self):
        first = self.token(uid="same")
        second = self.token(uid="same")
        self.assertEqual(self.session(first)["state"], "SUPERSEDED")
        self.assertEqual(self.session(first)["failure"]["name"], "superseded")
        self.assertEqual(self.server.login(first["token"]), 9)
        self.assertEqual(Device(self.server, second["token"]).status, 200)
        other = self.token(uid="other")
        self.server.api("DELETE", f"provision/session/{other['sessionId']}")
        self.assertEqual(self.session(other)["state"], "CANCELED")
        self.assertEqual(self.server.login(other["token"]), 9)
        with self.assertRaises(muster.Refused) as refused:
            self.server.api("DELETE", f"provision/session/{other['sessionId']}")
        self.assertEqual(refused.exception.status, 409)
        self.assertEqual(self.devices(), [])

    def test_canceled_between_login_and_info(self):
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.wait_state(issued, "CONNECTED")
        self.server.api("DELETE", f"provision/session/{issued['sessionId']}")
        self.assertIsNone(device.say_info(self.template))
        self.assertEqual(self.session(issued)["state"], "CANCELED")
        self.assertEqual(self.server.login(issued["token"]), 9)
        self.assertEqual(self.devices(), [])

    def test_expired(self):
        issued, late = self.token(), self.token()
        self.change_database("UPDATE provision_session SET expires_at = ? WHERE id = ?", int(time.time() * 1000) - 1, issued["sessionId"])
        self.wait_status(issued["token"], 9)
        self.assertEqual(self.session(issued)["failure"]["name"], "expired")
        self.assertEqual(self.devices(), [])
        # Another one's time is its own.
        device = Device(self.server, late["token"])
        self.assertEqual(device.status, 200)
        self.wait_state(late, "CONNECTED")

    def test_no_info(self):
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.assertIsNone(device.say_info(None), "an info without a template is none, here")
        session = self.wait_state(issued, "CONNECTED")
        self.assertEqual(session["failure"]["name"], "info_missing")
        # The token is not used up: firmware with a template goes on with it.
        self.assertEqual(Device(self.server, issued["token"]).say_info(self.template), 200)
        self.assertIsNone(self.session(issued)["failure"])

    def test_killed_between_token_and_first_login_and_between_login_and_info(self):
        issued = self.token()
        self.server.kill()
        self.server.start()
        device = Device(self.server, issued["token"])
        self.assertEqual(device.status, 200)
        self.wait_state(issued, "CONNECTED")
        self.server.kill()
        self.assertIsNone(device.say_info(self.template))
        self.server.start()
        device = Device(self.server, issued["token"])
        self.assertEqual(device.status, 200)
        self.assertEqual(device.say_info(self.template), 200)
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.login(issued["token"]), 200, "what was answered is on disk")
        self.assertEqual([row["id"] for row in self.devices()], [issued["deviceId"]])

    def test_the_owner_is_gone(self):
        owner = self.server.api("POST", "users/create-in-org", {"email": "o@example.com", "password": "correct horse battery", "role": "User"})
        issued = self.token(ownerId=owner["id"])
        self.server.api("POST", "user/suspend", {"userId": owner["id"]})
        self.assertIsNone(Device(self.server, issued["token"]).say_info(self.template))
        self.assertEqual(self.wait_state(issued, "FAILED")["failure"]["name"], "owner_gone")
        self.assertEqual(self.server.login(issued["token"]), 9)

    def test_the_newest_login_wins_also_before_the_info(self):
        issued = self.token()
        first, second = Device(self.server, issued["token"]), Device(self.server, issued["token"])
        self.assertEqual(second.say_info(self.template), 200)
        self.assertEqual(first.say_info(self.template), 200, "idempotent: it is the same device")
        self.assertTrue(first.is_open())
        self.assertTrue(second.closes())
        self.assertEqual(len(self.devices()), 1)

    def test_limits(self):
        for _ in range(50):
            last = self.token()
        with self.assertRaises(muster.Refused) as refused:
            self.token()
        self.assertEqual(refused.exception.status, 409)
        self.assertEqual(json.loads(refused.exception.body)["error"]["code"], "limit_reached")
        self.server.api("DELETE", f"provision/session/{last['sessionId']}")
        self.token()

    # --- again, for a device that works ---------------------------------------------------------------------------------------------

    def provisioned(self):
        issued = self.token()
        device = Device(self.server, issued["token"])
        self.assertEqual(device.say_info(self.template), 200)
        return issued, device

    def reprovision(self, issued):
        return self.server.api("POST", "device/provision/reprovision/token", {"deviceId": issued["deviceId"]})

    def test_reprovision_keeps_the_old_token_until_the_new_one_logged_in_twice(self):
        issued, old = self.provisioned()
        renewed = self.reprovision(issued)
        self.assertEqual(renewed["deviceId"], issued["deviceId"])
        self.assertEqual(self.session(renewed)["state"], "REPROVISIONING")
        self.assertTrue(old.is_open(), "a token that nobody used changes nothing")
        new = Device(self.server, renewed["token"])
        self.assertEqual(new.status, 200)
        self.assertTrue(old.is_open(), "nor does a login without an info")
        self.assertEqual(new.say_info(self.template), 200)
        self.assertTrue(old.closes())
        self.assertEqual(self.session(renewed)["state"], "PROVING")
        # Power cut between the cloud's yes and the device's store: it comes back with the old token.
        self.assertEqual(self.server.login(issued["token"]), 200)
        self.assertEqual(self.session(renewed)["state"], "PROVING")
        second = Device(self.server, renewed["token"])
        self.assertEqual(second.status, 200)
        self.wait_state(renewed, "ACTIVE")
        self.assertTrue(second.is_open(), "the end of the old token does not end the session of the new one")
        self.wait_status(issued["token"], 9)
        self.assertTrue(second.is_open())
        self.assertEqual([row["id"] for row in self.devices()], [issued["deviceId"]])

    def test_reprovision_with_another_template_is_closed_and_never_hears_9(self):
        issued, old = self.provisioned()
        other = self.server.new_template("Pumps")
        renewed = self.reprovision(issued)
        new = Device(self.server, renewed["token"])
        self.assertIsNone(new.say_info(other))
        session = self.session(renewed)
        self.assertEqual((session["state"], session["failure"]["name"]), ("REPROVISIONING", "template_differs"))
        self.assertTrue(old.is_open())
        self.assertEqual(self.server.login(renewed["token"]), 200)
        # Its time passes: nobody decided that, so it is closed without an answer.
        self.change_database("UPDATE provision_session SET expires_at = ? WHERE id = ?", int(time.time() * 1000) - 1, renewed["sessionId"])
        self.assertIsNone(self.server.login(renewed["token"]))
        self.assertEqual(self.session(renewed)["state"], "EXPIRED")
        self.assertIsNone(self.server.login(renewed["token"]))
        self.assertEqual(self.server.login(issued["token"]), 200)

    def test_after_its_time_the_device_decides_which_token_stays(self):
        issued, _ = self.provisioned()
        renewed = self.reprovision(issued)
        self.assertEqual(Device(self.server, renewed["token"]).say_info(self.template), 200)
        self.change_database("UPDATE provision_session SET expires_at = ? WHERE id = ?", int(time.time() * 1000) - 1, renewed["sessionId"])
        self.assertEqual(self.session(renewed)["state"], "PROVING", "it may have stored either token")
        self.assertEqual(self.server.login(issued["token"]), 200)
        self.wait_state(renewed, "EXPIRED")
        self.assertEqual(self.server.login(issued["token"]), 200)
        self.assertIsNone(self.server.login(renewed["token"]))

    def test_reconfigure_asks_the_device(self):
        issued, device = self.provisioned()
        answer = self.server.api("POST", "organization/device/provision/reconfigure", {"deviceId": issued["deviceId"]})
        self.assertEqual(answer, {"deviceIsOffline": False})
        command, _, body = muster.read_frame(device.socket)
        self.assertEqual((command, body), (INFO, b"dbg\0config start"))
        device.close()
        end = time.monotonic() + 5
        while not self.server.api("POST", "device/provision/reconfigure", {"deviceId": issued["deviceId"]})["deviceIsOffline"]:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    # --- who sees what --------------------------------------------------------------------------------------------------------------

    def test_lists(self):
        first, second = self.token(client="Phone"), self.token(client="CLI")
        listed = self.server.api("GET", "provision/sessions")
        self.assertEqual([session["id"] for session in listed["content"]], [second["sessionId"], first["sessionId"]])
        self.assertEqual(listed["totalElements"], 2)
        self.server.api("POST", f"provision/session/{first['sessionId']}/step", {"step": "net_fail", "code": 722, "source": "agent"})
        for query, wanted in (("code=722", [first]), ("client=phone", [first]), ("state=TOKEN_ISSUED", [second]), ("state=DONE", []),
                              (f"email={muster.EMAIL}&size=1", [second]), ("email=nobody%40example.com", []),
                              (f"deviceId={first['deviceId']}", [first])):
            with self.subTest(query):
                found = self.server.api("GET", f"provision/sessions?{query}")["content"]
                self.assertEqual([session["id"] for session in found], [one["sessionId"] for one in wanted])
        self.server.api("POST", "users/create-in-org", {"email": "u@example.com", "password": "correct horse battery", "role": "User"})
        admin = self.server.access_token
        self.server.access_token = None
        self.server.access_token = self.server.api("POST", "session", {"email": "u@example.com", "password": "correct horse battery"})["accessToken"]
        self.assertEqual(self.server.api("GET", "provision/sessions")["content"], [])
        for method, path, body in (("GET", f"provision/session?sessionId={first['sessionId']}", None),
                                   ("POST", f"provision/session/{first['sessionId']}/step", {"step": "sent"}),
                                   ("DELETE", f"provision/session/{first['sessionId']}", None)):
            with self.assertRaises(muster.Refused) as refused:
                self.server.api(method, path, body)
            self.assertEqual(refused.exception.status, 404)
        own = self.token()
        self.assertEqual([session["id"] for session in self.server.api("GET", "provision/sessions")["content"]], [own["sessionId"]])
        self.server.access_token = admin
        self.assertEqual(self.server.api("GET", "provision/sessions")["totalElements"], 3)


if __name__ == "__main__":
    unittest.main()
