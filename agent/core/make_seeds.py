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
