# SPDX-License-Identifier: Apache-2.0
"""A change of role, permission, owner or organization counts on open streams at once: while devices write without a pause and an
administrator changes at random what somebody may see, no row that he may not see is read from his socket later than 250 ms after the
change was acknowledged. MUSTER_ROLE_CHANGES=10000 makes as many changes."""
import base64
import json
import os
import random
import socket
import struct
import threading
import time
import unittest

import muster

CHANGES = int(os.environ.get("MUSTER_ROLE_CHANGES", "200"))
SEED = int(os.environ.get("MUSTER_SEED", "20261124"))
LATE_S = 0.25
DEVICES, PINS, WATCHERS = 4, 8, 4
CONFIG = """[api]
requests_per_minute_per_organization = 1000000000
updates_per_day_per_device = 0
"""


class Watcher(threading.Thread):
    """A client of /api/v1/stream that subscribes again and again, and notes when it read which row."""

    def __init__(self, server, token, devices, organization):
        super().__init__(daemon=True)
        self.server, self.token, self.devices, self.organization = server, token, devices, organization
        self.rows = []  # (when, device)
        self.resets, self.connections = 0, 0
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                self.watch()
            except (OSError, EOFError):
                time.sleep(0.02)

    def watch(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as self.socket:
            key = base64.b64encode(os.urandom(16)).decode()
            self.socket.sendall((f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {self.token}\r\n\r\n").encode())
            self.input = self.socket.makefile("rb")
            status = self.input.readline()
            assert b" 101 " in status, status
            while self.input.readline() not in (b"\r\n", b""):
                pass
            self.connections += 1
            self.socket.settimeout(0.2)
            number, next_at = 0, 0.0
            buffer = b""
            while not self.stopping:
                if time.monotonic() >= next_at:  # At most 50 messages in 10 s.
                    next_at = time.monotonic() + 0.45
                    number += 1
                    # One device each, for a subscription that names one which he may not see is refused as a whole; or what he may see there.
                    device = self.devices[number % len(self.devices)]
                    what = {"orgId": self.organization} if number % 2 else {"deviceIds": [device]}
                    self.say({"type": "subscribe", "id": f"s{number}", "kind": "values", **what})
                    if number > 8:
                        self.say({"type": "unsubscribe", "id": f"s{number - 8}"})
                try:
                    data = self.socket.recv(65536)
                except TimeoutError:
                    continue
                now = time.monotonic()
                if not data:
                    return
                buffer = self.take(buffer + data, now)

    def say(self, message):
        body = json.dumps(message).encode()
        head = struct.pack("!BB", 0x81, 0x80 | len(body)) if len(body) < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, len(body))
        self.socket.sendall(head + b"\0\0\0\0" + body)

    def take(self, buffer, now):
        while len(buffer) >= 2:
            size, at = buffer[1] & 0x7F, 2
            if size == 126:
                size, at = struct.unpack_from("!H", buffer, 2)[0] if len(buffer) >= 4 else 1 << 40, 4
            elif size == 127:
                size, at = struct.unpack_from("!Q", buffer, 2)[0] if len(buffer) >= 10 else 1 << 40, 10
            if len(buffer) < at + size:
                break
            opcode, body, buffer = buffer[0] & 0x0F, buffer[at:at + size], buffer[at + size:]
            if opcode != 1:
                continue
            message = json.loads(body)
            self.resets += message["type"] == "reset"
            for row in message.get("rows", []):
                self.rows.append((now, row["deviceId"]))
        return buffer


class RoleChange(unittest.TestCase):
    def test_no_forbidden_row_comes_late(self):
        chance = random.Random(SEED)
        server = muster.Muster(config=CONFIG)
        try:
            server.set_up()
            root = server.api("GET", "organization/profile")["id"]
            other = server.api("POST", "organization/create", {"name": "Other"})["id"]
            template = server.api("POST", "template/create", {"name": "Lamp"})["id"]
            made = [server.api("POST", "device/create", {"templateId": template, "name": f"Lamp {i}", "ownerId": 0}) for i in range(DEVICES)]
            devices = [each["id"] for each in made]
            watcher_id = server.api("POST", "users/create-in-org",
                                    {"email": "watcher@example.com", "password": "long enough 1", "role": "Staff"})["id"]
            token = server.api("POST", "session", {"email": "watcher@example.com", "password": "long enough 1"})["accessToken"]
            watchers = [Watcher(server, token, devices, root) for _ in range(WATCHERS)]
            for each in watchers:
                each.start()
            stop = threading.Event()

            def write():
                number = 0
                while not stop.is_set():
                    number += 1
                    for each in made:
                        pins = "".join(f"&V{pin}={number}" for pin in range(PINS))
                        server.request("GET", f"/external/api/update?token={each['token']}{pins}", headers={"Authorization": "none"})
                    time.sleep(0.02)

            writer = threading.Thread(target=write, daemon=True)
            writer.start()

            # The rule, told anew: a device of his own organization, with the view of all, or of his own where he owns it.
            roles = {2: {"all": True, "own": True}, 3: {"all": False, "own": True}}
            state = {"role": 2, "place": {each: [root, 0] for each in devices}}

            def sees(device):
                place, owner = state["place"][device]
                role = roles[state["role"]]
                return place == root and (role["all"] or (owner == watcher_id and role["own"]))

            hidden_since = {each: None for each in devices}
            hidden = {each: [] for each in devices}  # (acknowledged, the next change that shows it began)

            def change(apply, method, path, body):
                began = time.monotonic()
                server.api(method, path, body, expected=(200, 204, 409))
                acknowledged = time.monotonic()
                apply()
                for each in devices:
                    if sees(each) and hidden_since[each] is not None:
                        hidden[each].append((hidden_since[each], began))
                        hidden_since[each] = None
                    elif not sees(each) and hidden_since[each] is None:
                        hidden_since[each] = acknowledged

            for _ in range(CHANGES):
                kind = chance.randrange(4)
                if kind == 0:
                    role, all_, own = chance.choice([2, 3]), chance.random() < 0.6, chance.random() < 0.6
                    names = ["ORG_DEVICES_VIEW"] * all_ + ["OWN_DEVICES_VIEW"] * own
                    change(lambda: roles.update({role: {"all": all_, "own": own}}), "PUT", "role/permissions", {"roleId": role, "permissions": names})
                elif kind == 1:
                    role = chance.choice([2, 3])
                    change(lambda: state.update({"role": role}), "PUT", "users/role", {"userId": watcher_id, "roleId": role})
                elif kind == 2:
                    device = chance.choice(devices)
                    change(lambda: state["place"].update({device: [root, watcher_id]}), "POST", "device/transfer/to-owner",
                           {"deviceId": device, "ownerId": watcher_id})
                else:
                    device, place = chance.choice(devices), chance.choice([root, root, root, other])
                    change(lambda: state["place"].update({device: [place, 0]}), "POST", "device/transfer/to-organization",
                           {"deviceId": device, "orgId": place})
                time.sleep(chance.choice([0, 0, 0.02, 0.1, 0.4]) if CHANGES <= 1000 else chance.choice([0, 0, 0, 0.02, 0.3]))
            end = time.monotonic()
            time.sleep(0.5)
            stop.set()
            for each in watchers:
                each.stopping = True
            writer.join(10)
            for each in watchers:
                each.join(10)
            rows = [row for each in watchers for row in each.rows]
            for each in devices:
                if hidden_since[each] is not None:
                    hidden[each].append((hidden_since[each], end + 0.5))
            late, latest = [], 0.0
            for when, device in rows:
                for acknowledged, shown in hidden[device]:
                    if acknowledged < when < shown:
                        latest = max(latest, when - acknowledged)
                        if when - acknowledged > LATE_S:
                            late.append((device, when - acknowledged))
            spans = [shown - acknowledged for each in devices for acknowledged, shown in hidden[each]]
            print(f"{CHANGES} changes, {len(rows)} rows read, {len(spans)} times hidden ({sum(s > LATE_S for s in spans)} of them long), "
                  f"{sum(each.connections for each in watchers)} connections, latest forbidden row {latest * 1000:.0f} ms after its change")
            self.assertEqual(late, [], f"seed {SEED}")
            # It proves something only where there was much to see and much to hide.
            self.assertGreater(len(rows), CHANGES)
            self.assertGreater(sum(span > LATE_S for span in spans), CHANGES / 20)
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
