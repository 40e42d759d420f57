#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the image of preset agent-min: flash and RAM from its sections, stack by running it.

    measure.py BUILD_TREE [--symbols]

The image runs on an emulated Cortex-M4 (qemu, board mps2-an386) and is taken through a device's life by messages on its serial line:
set up by HTTP, by Inject messages and by console, joined, online, every frame of the cloud, every failure, the largest and the oddest
requests. What it answers is checked, so a figure is that of an image that works. The start-up code paints the stack; the deepest mark
counts. Exit status 1 when a limit is broken, an answer is wrong, or the image holds what it must not (a heap, exceptions, printf).
"""
import argparse
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

FLASH_MAX_BYTES = 64 * 1024
RAM_MAX_BYTES = 8 * 1024
# What would mean that something allocates, throws or formats behind our back.
UNWANTED = ("malloc", "_malloc_r", "_sbrk", "_sbrk_r", "_Znwj", "_Znaj", "_ZdlPv", "__cxa_throw", "_Unwind_RaiseException", "printf",
            "_printf_r", "_vfprintf_r", "abort", "__cxa_guard_acquire", "__aeabi_atexit", "__aeabi_dadd", "__aeabi_dmul")
TOKEN = "0123456789abcdefghijklmnopqrstuv"
PREFIX = "arm-none-eabi-"


class Wrong(Exception):
    pass


class Board:
    """The running image: a message in, what it did out."""

    def __init__(self, image: Path):
        self.process = subprocess.Popen(
            ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-chardev", "stdio,id=line,signal=off",
             "-serial", "chardev:line", "-kernel", str(image)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buffer = b""
        self.stack_bytes, self.deepest, self.wait_ms = 0, "start", 0
        self.said: list[tuple[str, bytes]] = []
        self.marks: list[tuple[int, str]] = []

    def close(self):
        self.process.kill()
        self.process.wait()

    def _read(self, count: int) -> bytes:
        end = time.monotonic() + 20
        while len(self.buffer) < count:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                raise Wrong(f"the board is silent; it had said {self.buffer[-80:]!r}")
            self.buffer += chunk
            if self.buffer.startswith(b"!"):
                raise Wrong("the board is in its fault handler")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def tell(self, what: str, kind: str, payload: bytes = b"") -> list[tuple[str, bytes]]:
        self.process.stdin.write(kind.encode() + struct.pack(">H", len(payload)) + payload)
        self.process.stdin.flush()
        self.said = []
        while True:
            said, size = struct.unpack(">cH", self._read(3))
            data = self._read(size)
            if said == b".":
                self.wait_ms, stack = struct.unpack(">II", data)
                if stack > self.stack_bytes:
                    self.stack_bytes, self.deepest = stack, what
                    self.marks.append((stack, what))
                return self.said
            self.said.append((said.decode(), data))

    def text(self, kind: str) -> str:
        """All that was said under this kind since the last message; of web answers without the connection's number."""
        return "".join(data[4 if kind in "HtC" else 0:].decode("latin-1") for said, data in self.said if said == kind)

    def expect(self, kind: str, part: str):
        if part not in self.text(kind) or (not part and kind not in [said for said, _ in self.said]):
            raise Wrong(f"expected {kind} {part!r}, the board said {self.said!r}")


def frame(command: int, number: int, *fields: str) -> bytes:
    body = "\0".join(fields).encode()
    return struct.pack(">BHH", command, number, len(body)) + body


def response(number: int, status: int) -> bytes:
    return struct.pack(">BHH", 0, number, status)


class Life:
    """The scenes of a device's life; each says what it expects."""

    def __init__(self, board: Board):
        self.board = board
        self.connection = 0

    def tell(self, what, kind, payload=b"", *expected):
        self.board.tell(what, kind, payload)
        for each in expected:
            self.board.expect(*each)

    def pass_ms(self, what, ms, *expected):
        self.tell(what, "t", struct.pack(">I", ms), *expected)

    def web(self, what, request: bytes, *expected):
        self.connection = self.connection % 200 + 1
        self.board.tell(what, "h", bytes([self.connection]))
        heard = []
        for at in range(0, len(request), 400):
            heard += self.board.tell(what, "d", bytes([self.connection]) + request[at:at + 400])
        self.board.said = heard
        for each in expected:
            self.board.expect(*each)

    def get(self, what, target: str, *expected, host="192.168.4.1"):
        self.web(what, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), *expected)

    def program(self, what, number: int, text: str, *expected):
        self.tell(what, "p", bytes([number]) + text.encode(), *expected)

    def online(self, what, token: str):
        self.tell(what, "j", bytes([192, 168, 1, 7]), ("C", "cloud.example"))
        self.tell(what, "c", b"", ("S", token))
        self.tell(what, "b", response(1, 200), ("S", "buff-in\x00512"))
        self.tell(what, "b", response(2, 200), ("e", "online"), ("t", "stored"), ("t", "online"))

    def http(self):
        self.tell("open", "o", b"", ("t", "setup_opened"))
        self.tell("visitor", "v", b"\1")
        self.get("page", "/", ("H", "Connection: close"), ("H", "</html>"), ("h", ""))
        self.get("portal", "/generate_204", ("H", "Location: http://192.168.4.1/"), host="connectivitycheck.gstatic.com")
        self.get("DNS", "/favicon.ico", ("H", "404"))
        self.tell("DNS", "n", bytes.fromhex("123401000001000000000000") + b"\5blynk\5setup\0\0\1\0\1", ("N", "\xc0\xa8\x04\x01"))
        self.tell("DNS, longest name", "n", bytes.fromhex("123401000001000000000000") + (b"\x3f" + b"a" * 63) * 3 + b"\0\0\1\0\1", ("N", "aaaa"))
        self.get("device info", "/board_info.json", ("H", '"tmpl_id":"TMPL2abcdefgh"'), ("D", "configuring"))
        self.get("networks", "/wifi_scan.json", ("s", ""))
        networks = b"".join(struct.pack(">bBBB", -40 - i, 3, 6, 32) + (b"\1\"" * 16 if i % 2 else b"n" * 32) for i in range(8))
        self.tell("networks found", "s", networks, ("H", '"sec":"WPA2"'))
        self.get("reset", "/reset", ("H", "Configuration reset"))
        self.get("update", "/update", ("H", "takes no firmware"))
        self.get("reboot", "/reboot", ("R", ""))
        for what, request in {"request line too long": b"GET /" + b"x" * 900, "headers too long": b"GET / HTTP/1.1\r\nX: " + b"y" * 8300,
                              "body too long": b"POST /config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                               b"Content-Length: 9999\r\n\r\n",
                              "no HTTP": b"\x16\3\1\2\0\r\n\r\n"}.items():
            self.web(what, request, ("H", "HTTP/1.1 4"))
            self.pass_ms(what, 1100)
        full = ("if=wifi&ssid=" + "%c3%a4" * 16 + "&pass=" + "%21" * 63 + f"&blynk={TOKEN}&host=" + "h" * 59 + ".net"
                "&port_ssl=9443&ip=192.168.1.7&mask=255.255.255.0&gw=192.168.1.1&dns=192.168.1.1&dns2=8.8.8.8")
        self.web("settings, full", b"POST /config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
                 + str(len(full)).encode() + b"\r\n\r\n" + full.encode(), ("H", "Trying"), ("D", "switching"))
        self.pass_ms("switching", 200, ("J", "ä".encode().decode("latin-1") * 16 + "/" + "!" * 63))
        self.tell("wrong password", "J", b"\1", ("t", "gave_up"))
        self.get("status after a failure", "/status.json", ("H", "The Wi-Fi password is wrong."))
        self.get("settings", f"/config?ssid=home&pass=secret123&blynk={TOKEN}", ("H", "Trying"))
        self.pass_ms("switching", 200, ("J", "home/secret123"))
        self.get("networks while joining", "/wifi_scan.json", ("H", "[]"))
        self.online("first activation", TOKEN)
        self.get("status online", "/status.json", ("H", '"outcome":"succeeded"'))
        self.pass_ms("result read", 1000, ("o", ""))

    def cloud(self):
        self.tell("value", "b", frame(20, 9, "vw", "5", "on"), ("w", "on"))
        self.tell("value in pieces", "b", frame(20, 9, "vw", "5", "x" * 400)[:300])
        self.tell("value in pieces", "b", frame(20, 9, "vw", "5", "x" * 400)[300:], ("w", "x" * 400))
        self.tell("metadata", "b", frame(17, 9, "meta", "Device Name", "Lamp"), ("m", "Device Name=Lamp"))
        self.tell("time", "b", frame(17, 9, "utc", "time", "1764000000000"), ("u", ""))
        self.tell("console line", "b", frame(17, 9, "dbg", "hello"), ("c", "hello"))
        self.tell("update offered", "b", frame(17, 9, "ota", "http://x/y"), ("U", "http://x/y"))
        self.tell("print", "b", frame(55, 9, "hello"), ("p", "hello"))
        self.tell("response", "b", response(77, 11), ("r", ""))
        self.tell("ping", "b", frame(6, 9), ("S", "\0\0\x09\0\xc8"))
        self.tell("unknown command", "b", frame(99, 9), ("S", ""))
        for number in range(10):
            self.program(f"program {number}", number, "21.5", ("S", ""), ("P", "\0\0\0\0"))
        self.program("program, too big", 0, "x" * 510, ("P", "\0\0\0\2"))
        self.tell("quota", "b", response(78, 1), ("e", "quota"))
        self.program("program, throttled", 0, "x", ("P", "\0\0\0\3"))
        self.pass_ms("heartbeat", 40_000, ("S", "\6"))
        self.tell("answer", "b", response(30, 200))
        self.tell("redirect", "b", frame(41, 9, "other.example", "8443"), ("e", "redirected"))
        self.pass_ms("redirect", 0, ("C", "other.example"))
        self.tell("dial failed", "x", b"\1", ("t", "dial_failed"))
        self.pass_ms("again", 60_000, ("C", ""))
        self.tell("again", "c")
        self.tell("again", "b", response(1, 200))
        self.tell("again", "b", response(2, 200), ("t", "online"))
        self.tell("set-up by cloud", "b", frame(17, 9, "dbg", "config start"), ("D", "wait_config"))
        self.tell("set-up by cloud", "o")

    def inject(self):
        def message(what, text, *expected):
            self.tell(what, "m", text.encode(), *expected)
        self.tell("BLE client", "i", b"\1")
        message("info", '{"t":"info"}', ("B", '"caps":["live_status"]'))
        message("interfaces", '{"t":"ifs"}', ("B", '"t":"ifs_end"'))
        message("scan", '{"t":"scan"}', ("s", ""))
        self.tell("scan found", "s", struct.pack(">bBBB", -40, 3, 6, 32) + b"\1" * 32, ("B", '"t":"scan_end"'))
        message("wrong", '{"t":"set"' + "[" * 400, ("B", "wrong format"))
        message("too large", '{"t":"set","ssid":"' + "x" * 500 + '"}', ("B", "wrong format"))
        message("many fields", '{"t":"set",' + ",".join(f'"k{i}":{i}' for i in range(24)) + "}", ("B", "set_fail"))
        for word in ("ota_start", "ota_block_apply", "ota_finish", "ota_cancel", "ota_rollback", "reboot", "connect", "nonsense"):
            message(word, f'{{"t":"{word}"}}')
        message("reset", '{"t":"reset"}', ("B", "reset_ok"))
        message("set, escaped", '{"t":"set","if":"wifi","ssid":"' + "\\u00e4" * 16 + '","pass":"' + "\\u0041" * 20 + '"}', ("B", "set_ok"))
        message("set", f'{{"t":"set","blynk":"{TOKEN[::-1]}","host":"cloud.example","port":443,"ip":"1.2.3.4","mask":"255.0.0.0"}}',
                ("B", "set_ok"))
        message("connect", '{"t":"connect"}', ("B", '"t":"connecting"'))
        self.pass_ms("switching", 200, ("B", "connecting_net"))
        self.tell("joined", "j", bytes([1, 2, 3, 4]), ("B", '"net_status"'))
        self.tell("refused", "c")
        self.tell("refused", "b", response(1, 9), ("B", "auth_failed"))
        message("set again", f'{{"t":"set","ssid":"home","pass":"secret123","blynk":"{TOKEN[::-1]}"}}', ("B", "set_ok"))
        message("connect again", '{"t":"connect"}', ("B", '"t":"connecting"'))
        self.pass_ms("switching", 200)
        self.online("activation by BLE", TOKEN[::-1])
        self.program("set-up", 10, "", ("D", "wait_config"))
        self.tell("open", "o")
        message("set, to be saved", f'{{"t":"set","ssid":"home","pass":"secret123","blynk":"{TOKEN[::-1]}","save":true}}', ("B", "set_ok"))
        message("connect unproved", '{"t":"connect"}', ("B", '"t":"connecting"'))
        self.pass_ms("switching", 200)
        self.tell("joined", "j", bytes([192, 168, 1, 7]))
        self.tell("connected", "c")
        self.tell("logged in", "b", response(1, 200))
        self.tell("online", "b", response(2, 200), ("t", "online"), ("B", "connected"))
        self.board.tell("BLE client leaves", "i", b"\0")

    def console(self):
        def line(what, text, *expected):
            self.tell(what, "T", text.encode() + b"\r\n", *expected)
        line("devinfo", "devinfo", ("T", "template: TMPL2abcdefgh"))
        line("wifi", "wifi", ("T", "ssid: home"))
        line("wifi scan", "wifi scan", ("s", ""))
        self.tell("wifi scan", "s", struct.pack(">bBBB", -40, 3, 6, 32) + b"\1" * 32, ("T", "ok\r\n"))
        line("help", "help", ("T", "reboot"))
        line("nonsense", "x" * 300, ("T", "too long"))
        line("wifi name", 'wifi "other" "secret789"', ("T", "ok"))
        line("connect", f"connect {TOKEN} cloud.example:8443", ("T", "ok"))
        self.pass_ms("switching", 200, ("J", "other/secret789"))
        self.tell("not found", "J", b"\0", ("t", "gave_up"), ("T", "gave_up"))
        line("connect by token", f"connect {TOKEN}", ("T", "ok"))
        self.pass_ms("switching", 200, ("J", "home/secret123"))
        self.tell("joined", "j", bytes([1, 2, 3, 4]))
        for _ in range(8):  # A cloud that refuses connections, until the device falls back.
            self.tell("cloud closed", "x", b"\1")
            self.pass_ms("cloud closed", min(self.board.wait_ms, 60_000))
        line("config stop", "config stop", ("T", "ok"))
        line("config start", "config start", ("T", "ok"))
        line("reboot", "reboot", ("R", ""))

    def rest(self):
        self.program("reset", 12, "", ("t", "reset"), ("D", "wait_config"))
        self.tell("open", "o")
        self.get("settings", f"/config?ssid=home&pass=secret123&blynk={TOKEN}", ("H", "Trying"))
        self.pass_ms("switching", 200)
        self.online("activation", TOKEN)
        self.program("stop", 14, "", ("D", "idle"))
        self.program("start", 15, "", ("J", "home/secret123"))
        for code in (0, 2, 3, 4, 5, 6):
            self.tell("join fails", "J", bytes([code]), ("t", "join_failed"))
            self.pass_ms("join fails", 3_000)
        self.tell("joined", "j", bytes([1, 2, 3, 4]))
        self.tell("network lost", "l", b"", ("t", "network_lost"))
        self.tell("joined", "j", bytes([1, 2, 3, 4]))
        self.tell("token refused", "c")
        self.tell("token refused", "b", response(1, 9), ("D", "wait_config"), ("t", "token_refused"))
        self.tell("open failed", "O", b"", ("t", "setup_open_failed"))
        self.pass_ms("open again", 5_000, ("O", ""))
        self.tell("open again", "o")
        self.get("saved unproved", f"/config?ssid=home&pass=secret123&blynk={TOKEN}&save=1", ("H", "saved"))
        self.pass_ms("switching", 200, ("J", "home"))
        for ms in (200, 4_000, 6_500):
            self.tell("button", "k", b"\1")
            self.pass_ms("button", ms)
        self.tell("button", "k", b"\0", ("t", "reset"), ("D", "wait_config"))
        for number in (10, 11, 12, 13):
            self.program(f"program {number}", number, "")
        self.tell("two slow clients", "h", b"\xfa")
        self.tell("two slow clients", "d", b"\xfaGET")
        self.pass_ms("two slow clients", 10_000, ("h", ""))
        self.pass_ms("nobody comes", 700_000, ("D", "idle"))


def run_life(image: Path) -> Board:
    board = Board(image)
    try:
        board.tell("start", "#", bytes(range(8)) + bytes(range(16)))
        board.expect("Q", "Muster Board-")
        board.expect("O", "Muster Board-")
        life = Life(board)
        for scene in (life.http, life.cloud, life.inject, life.console, life.rest):
            try:
                scene()
            except Wrong as wrong:
                raise Wrong(f"{scene.__name__}: {wrong}") from None
    finally:
        board.close()
    return board


def output(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def sections(image: Path) -> tuple[int, int, int]:
    """Code and constants, initial values, zeroed memory, in bytes."""
    text, data, bss = output(PREFIX + "size", str(image)).splitlines()[1].split()[:3]
    return int(text), int(data), int(bss)


def show_symbols(image: Path, tree: Path, board: Board):
    print("\nstack, as its mark went down")
    for size, what in board.marks:
        print(f"{size:8,}  {what}")
    flash, ram = [], []
    for line in output(PREFIX + "nm", "--size-sort", "-S", "-C", "-r", str(image)).splitlines():
        _, size, kind, name = line.split(" ", 3)
        (ram if kind in "bBdD" else flash).append((int(size, 16), name))
    for title, rows in (("flash", flash[:40]), ("RAM", ram[:12])):
        print(f"\nlargest in {title}, bytes")
        for size, name in rows:
            print(f"{size:8,}  {name}")
    frames = []
    for usage in tree.rglob("*.su"):
        for line in usage.read_text().splitlines():
            where, size, _ = line.rsplit("\t", 2)
            frames.append((int(size), where.split(":", 3)[-1]))
    print("\nlargest stack frames, bytes")
    for size, name in sorted(frames, reverse=True)[:20]:
        print(f"{size:8,}  {name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, help="build tree of preset agent-min")
    parser.add_argument("--symbols", action="store_true", help="also what is largest")
    arguments = parser.parse_args()
    image = arguments.tree / "bin/muster_agent_size.elf"
    code, initial, zeroed = sections(image)
    failed = []
    names = {line.split()[-1] for line in output(PREFIX + "nm", str(image)).splitlines()}
    if unwanted := sorted(names & set(UNWANTED)):
        failed.append("the image holds " + ", ".join(unwanted))
    try:
        board = run_life(image)
    except Wrong as wrong:
        print(f"the image does not work: {wrong}", file=sys.stderr)
        return 1
    flash, ram = code + initial, initial + zeroed + board.stack_bytes
    print(f"flash {flash:7,} of {FLASH_MAX_BYTES:6,} bytes: code and constants {code:,}, initial values {initial:,}")
    print(f"RAM   {ram:7,} of {RAM_MAX_BYTES:6,} bytes: static {initial + zeroed:,}, stack {board.stack_bytes:,} "
          f"(measured, deepest at: {board.deepest})")
    if flash > FLASH_MAX_BYTES:
        failed.append("flash is over its limit")
    if ram > RAM_MAX_BYTES:
        failed.append("RAM is over its limit")
    if arguments.symbols:
        show_symbols(image, arguments.tree, board)
    for sentence in failed:
        print(f"FAILED: {sentence}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
