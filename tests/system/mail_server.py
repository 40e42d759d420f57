# SPDX-License-Identifier: Apache-2.0
"""A real SMTP server on loopback (aiosmtpd), as a process of its own: mail_server.py FOLDER starttls|tls|plain [CERTIFICATE KEY].

Prints its port, then writes each mail that it takes to FOLDER/N.eml, with envelope sender and recipient in its first two lines. FOLDER/mode
says how it behaves, and may change meanwhile: take, greylist (451), refuse (550 to the recipient), deny (535 to every sign-in) or hang."""
import asyncio
import os
import socket
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"muster", b"mail secret"
folder, security = sys.argv[1], sys.argv[2]


def mode():
    try:
        with open(os.path.join(folder, "mode")) as text:
            return text.read().strip()
    except FileNotFoundError:
        return "take"


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode() == "hang":
            await asyncio.sleep(30)
        if mode() == "refuse":
            return "550 5.1.1 no such mailbox"
        if mode() == "greylist":
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        path = os.path.join(folder, f"{Handler.count}.eml")
        with open(path + ".part", "wb") as out:
            out.write(f"{envelope.mail_from}\n{envelope.rcpt_tos[0]}\n".encode() + envelope.content)
        os.rename(path + ".part", path)
        return "250 taken"


def sign_in(server, session, envelope, mechanism, data):
    return AuthResult(success=mode() != "deny" and (data.login, data.password) == (USER, PASSWORD), handled=False)


async def main():
    context = None
    if security != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])

    def protocol():
        return SMTP(Handler(), hostname="mail.test", authenticator=sign_in, auth_required=security != "plain", auth_require_tls=security != "tls",
                    tls_context=context if security == "starttls" else None, require_starttls=security == "starttls", enable_SMTPUTF8=True)

    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener, ssl=context if security == "tls" else None)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
