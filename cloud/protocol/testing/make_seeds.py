#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of device_gateway_fuzz from tests/golden/frames.json: one file a scenario, its uplinks after a login.

The first byte of a seed is the mode (see device_gateway_fuzz.cpp)."""
import collections
import json
import pathlib

here = pathlib.Path(__file__).resolve().parent
frames = json.loads((here / "../../../tests/golden/frames.json").read_text())
out = here / "../corpus/device_gateway_fuzz"
scenarios = collections.defaultdict(list)
for frame in frames:
    if frame["direction"] == "device->server" and frame["cmd"] not in (2, 29):
        scenarios[frame["client"] + "-" + frame["scenario"]].append(bytes.fromhex(frame["hex"]))
for number, (name, parts) in enumerate(sorted(scenarios.items())):
    mode = 0x04 | 0x40 | (number % 4) | (0x08 if "legacy" in name else 0) | (0x10 if number % 3 == 0 else 0)
    (out / name).write_bytes(bytes([mode]) + b"".join(parts))


def frame_bytes(command, message_id, body=b""):
    return bytes([command, message_id >> 8, message_id & 255, len(body) >> 8, len(body) & 255]) + body


(out / "unknown-token").write_bytes(b"\x40" + frame_bytes(29, 1, b"A" * 32) + frame_bytes(6, 2))
(out / "malformed-token").write_bytes(b"\x00" + frame_bytes(29, 1, b"short"))
(out / "command-before-login").write_bytes(b"\x00" + frame_bytes(6, 1))
(out / "every-command").write_bytes(b"\x44" + b"".join(frame_bytes(c, 7, b"" if c == 0 else b"vw\x001\x002") for c in range(256)))
(out / "nul-soup").write_bytes(b"\x47" + b"".join(frame_bytes(c, 7, b"\x00" * 9) for c in (15, 16, 17, 19, 20, 21, 64, 65)))
(out / "legacy-ping-reply").write_bytes(b"\x4c" + b"\x00\x00\x09\x00\x03200" + frame_bytes(6, 3))
(out / "id-zero").write_bytes(b"\x04" + frame_bytes(6, 0))
(out / "length-65535").write_bytes(b"\x04\x14\x00\x01\xff\xff")
