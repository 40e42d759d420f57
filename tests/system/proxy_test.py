# SPDX-License-Identifier: Apache-2.0
"""Behind a reverse proxy: its word about the client counts for throttles and for what is private, a stranger's does not."""
import unittest

import muster


def forwarded(client):
    return {"X-Forwarded-For": client, "Authorization": ""}


class Proxy(unittest.TestCase):
    def serve(self, config):
        server = muster.Muster(config=config)
        self.addCleanup(server.stop)
        server.set_up()
        return server

    def sign_in(self, server, client):
        """Each time as somebody else: what is blocked is an address, not an account."""
        self.people = getattr(self, "people", 0) + 1
        body = {"email": f"person{self.people}@example.com", "password": "wrong wrong wrong"}
        return server.request("POST", "/api/v1/session", body, forwarded(client))[0]

    def test_a_client_that_fails_blocks_itself_and_nobody_else(self):
        server = self.serve('[network]\ntrusted_proxies = ["127.0.0.0/8"]\n')
        for _ in range(5):
            self.assertEqual(self.sign_in(server, "203.0.113.9"), 401)
        self.assertEqual(self.sign_in(server, "203.0.113.9"), 429)
        self.assertEqual(self.sign_in(server, "198.51.100.1, 203.0.113.9"), 429, "what stands before the nearest address is forged")
        self.assertEqual(self.sign_in(server, "203.0.113.10"), 401)
        self.assertEqual(server.request("GET", "/metrics", headers=forwarded("203.0.113.10"))[0], 404)
        self.assertEqual(server.request("GET", "/metrics", headers=forwarded("192.168.1.7"))[0], 200)

    def test_nobody_is_believed_unless_named(self):
        server = self.serve("# defaults\n")
        for i in range(5):
            self.assertEqual(self.sign_in(server, f"203.0.113.{i}"), 401)
        self.assertEqual(self.sign_in(server, "203.0.113.200"), 429, "all came from one address")
        self.assertEqual(server.request("GET", "/metrics", headers=forwarded("203.0.113.10"))[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
