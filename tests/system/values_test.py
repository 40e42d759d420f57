# SPDX-License-Identifier: Apache-2.0
"""Last values are written behind, and at most the last second of them is lost: devices and HTTP clients write without a pause, the
server is killed, and every value that was acknowledged more than a second before is there (or a newer one)."""
import os
import shutil
import threading
import time
import unittest

import muster

ROUNDS = int(os.environ.get("MUSTER_VALUE_ROUNDS", "3"))
LOST_MAX_S = 1.0
CONFIG = "[api]\nrequests_per_minute_per_organization = 1000000000\n"


class Writer(threading.Thread):
    """Writes growing numbers to one pin, and remembers when each was acknowledged."""

    def __init__(self, server, token, pin):
        super().__init__(daemon=True)
        self.server, self.token, self.pin = server, token, pin
        self.acknowledged = []  # (when, number)

    def run(self):
        try:
            self.write()
        except (OSError, TypeError, muster.http.client.HTTPException):
            pass  # The server was killed.
        finally:
            self.connection.close()


class DeviceWriter(Writer):
    """A device: a ping behind the write is answered when the write has been taken."""

    def write(self):
        status, self.connection = self.server.login(self.token, keep=True)
        connection = self.connection
        assert status == muster.SUCCESS
        for number in range(1, 10**9):
            connection.sendall(muster.frame(20, number % 30000 + 1, f"vw\0{self.pin}\0{number}".encode()) + muster.frame(6, number % 30000 + 1))
            while True:  # What HTTP clients write comes in between.
                command, _, value = muster.read_frame(connection)
                if command == 0:
                    assert value == muster.SUCCESS
                    break
            self.acknowledged.append((time.monotonic(), number))
            time.sleep(0.04)  # Two frames each: below the flood limit.


class HttpWriter(Writer):
    def write(self):
        connection = self.connection = muster.http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        for number in range(1, 10**9):
            connection.request("GET", f"/external/api/update?token={self.token}&v{self.pin}={number}")
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            self.acknowledged.append((time.monotonic(), number))
            time.sleep(0.02)


class Values(unittest.TestCase):
    def test_what_was_acknowledged_a_second_before_a_kill_is_there(self):
        server = muster.Muster(config=CONFIG)
        self.addCleanup(shutil.rmtree, server.directory, ignore_errors=True)
        self.addCleanup(lambda: server.process.poll() is None and server.kill())
        server.set_up()
        template = server.new_template()
        oldest_lost, count = 0.0, 0
        for round_number in range(ROUNDS):
            tokens = [server.new_device(template, f"Lamp {round_number} {i}")["token"] for i in range(6)]
            writers = [DeviceWriter(server, token, 1) for token in tokens] + [HttpWriter(server, token, 2) for token in tokens]
            for writer in writers:
                writer.start()
            time.sleep(3 + 0.37 * round_number)
            killed = time.monotonic()
            server.kill()
            for writer in writers:
                writer.join(10)
            server.start()
            for writer in writers:
                self.assertGreater(len(writer.acknowledged), 20, "a writer that hardly wrote proves nothing")
                status, text = server.request("GET", f"/external/api/get?token={writer.token}&v{writer.pin}")
                self.assertEqual(status, 200, text)
                there = int(text.strip('[]"'))
                safe = max(number for when, number in writer.acknowledged if when < killed - LOST_MAX_S)
                lost = [killed - when for when, number in writer.acknowledged if number > there]
                oldest_lost = max([oldest_lost] + lost)
                self.assertGreaterEqual(there, safe, f"lost what was acknowledged {max(lost, default=0):.2f} s before the kill")
                self.assertLessEqual(there, writer.acknowledged[-1][1] + 1, "nothing is invented")
                count += len(writer.acknowledged)
        print(f"{ROUNDS} kills, {count} values acknowledged; the oldest one lost was {oldest_lost:.2f} s old", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
