#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the seed corpora of agent/core from tests/golden/frames.json. Run it from anywhere."""
import json
import pathlib
import zlib

core = pathlib.Path(__file__).resolve().parent
frames = json.loads((core.parents[1] / "tests/golden/frames.json").read_text())


def write(folder, name, data):
    (core / "corpus" / folder).mkdir(parents=True, exist_ok=True)
    (core / "corpus" / folder / name).write_bytes(data)


def script(*chunks):
    """Connected, logged in, info accepted, then each chunk as bytes that arrive."""
    out = bytes([4, 0, 0, 5]) + bytes.fromhex("00000100c8") + bytes([0, 5]) + bytes.fromhex("00000200c8")
    for chunk in chunks:
        out += bytes([0, len(chunk)]) + chunk
    return out


seen = set()
for frame in frames:
    data = bytes.fromhex(frame["hex"])
    if frame["direction"] == "server->device" and data not in seen and len(data) < 250:
        seen.add(data)
        write("agent_fuzz", f"frame-{len(seen):02}", script(data))
        write("agent_fuzz", f"login-{len(seen):02}", bytes([4, 0, 0, len(data)]) + data)
write("agent_fuzz", "heartbeat", script() + bytes([3, 41, 3, 10, 3, 10, 3, 10, 3, 60]))
write("agent_fuzz", "writes", script() + bytes([7, 1] * 30 + [6, 0, 7, 1, 0, 5, 6, 0, 9, 0, 0]))
write("agent_fuzz", "redirect-loop", b"".join(bytes([4, 0, 0, 14]) + bytes.fromhex("2900010009") + b"b.example" for _ in range(5)))


def record(*entries, version=1):
    payload = b"".join(bytes([key, len(value)]) + value for key, value in entries)
    head = b"MCFG" + bytes([version]) + len(payload).to_bytes(2, "big") + payload
    return head + zlib.crc32(head).to_bytes(4, "big")


full = [(1, b"0123456789abcdefghijklmnopqrstuv"), (2, b"cloud.example"), (3, b"\x24\xe3"), (4, b"\x02"), (5, b"TMPL2abcdefgh"), (6, b"Lamp")]
write("config_fuzz", "full", record(*full))
write("config_fuzz", "empty", record())
write("config_fuzz", "unknown-key", record((200, b"abc"), *full))
write("config_fuzz", "newer", record(*full, version=2))
write("config_fuzz", "cut", record(*full)[:40])
network = [(7, b"\x01"), (8, b"home"), (9, b"secret123"), (10, bytes(range(20))), (11, b"\x00\x00\x00\x07")]
write("config_fuzz", "network", record(*full, *network))


def steps(*chunks):
    """For device_fuzz: which interface, how many bytes, the bytes."""
    out = b""
    for kind, data in chunks:
        data = data.encode() if isinstance(data, str) else data
        for at in range(0, max(len(data), 1), 255):
            part = data[at : at + 255]
            out += bytes([kind, len(part)]) + part
    return out


HTTP, TEXT, LINE, DNS, EVENT = range(5)
settings = "ssid=new&pass=secret456&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=new.example&port_ssl=9443"
events = lambda *numbers: (EVENT, bytes(numbers))  # noqa: E731
write("device_fuzz", "http-info", steps((HTTP, "GET /board_info.json HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), (HTTP, "GET / HTTP/1.1\r\n\r\n")))
write("device_fuzz", "http-config", steps((HTTP, f"GET /config?{settings} HTTP/1.1\r\n\r\n"), events(1, 2, 4, 5, 6, 7), (HTTP, "GET /status.json HTTP/1.1\r\n\r\n"), events(8, 8)))
write("device_fuzz", "http-form", steps((HTTP, f"POST /config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(settings)}\r\n\r\n{settings}"), events(1, 3, 9)))
write("device_fuzz", "http-scan", steps((HTTP, "GET /wifi_scan.json HTTP/1.1\r\n\r\n"), events(10)))
write("device_fuzz", "http-portal", steps((HTTP, "GET /generate_204 HTTP/1.1\r\nHost: a.example\r\n\r\n"), (HTTP, "GET /reset HTTP/1.1\r\n\r\n")))
write("device_fuzz", "http-update", steps((HTTP, "POST /update HTTP/1.1\r\nContent-Length: 100000\r\n\r\nxxxx"), events(8)))
write("device_fuzz", "inject", steps((TEXT, '{"t":"info"}'), (TEXT, '{"t":"ifs"}'), (TEXT, '{"t":"scan"}'), events(10),
      (TEXT, '{"t":"set","ssid":"new","pass":"secret456","blynk":"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345","host":"h.example","port":9443}'),
      (TEXT, '{"t":"connect"}'), events(1, 2, 4, 5, 6, 7)))
write("device_fuzz", "console", steps((LINE, "devinfo\rwifi\rwifi scan\r"), events(10), (LINE, 'wifi "a b" "secret456"\rconnect ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 h.example:9443\r'), events(1, 2, 9, 8)))
write("device_fuzz", "console-config", steps((LINE, "config start\rconfig stop\rconfig erase\rreboot\r"), events(11, 8, 12)))
write("device_fuzz", "dns", steps((DNS, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05blynk\x05setup\x00\x00\x01\x00\x01")))
