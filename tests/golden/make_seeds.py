#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the seed corpora of wire/ from frames.json. Run from the repository root: tests/golden/make_seeds.py"""
import collections
import json
import pathlib

root = pathlib.Path(__file__).resolve().parents[2]
frames = json.loads((root / "tests/golden/frames.json").read_text())
frame_corpus = root / "wire/corpus/frame_fuzz"
info_corpus = root / "wire/corpus/info_fuzz"
for folder in (frame_corpus, info_corpus):
    folder.mkdir(parents=True, exist_ok=True)

streams = collections.defaultdict(bytes)
bodies = set()
for frame in frames:
    data = bytes.fromhex(frame["hex"])
    side = "up" if frame["direction"] == "device->server" else "down"
    if data[0] == 0 and data[3:5] == b"\0\3" and side == "up":
        data += b"200"  # What the legacy client sends behind its ping reply.
    streams[f'{frame["client"]}-{frame["scenario"]}-{side}'] += data
    if data[0] == 17:
        bodies.add(data[5:])

seen = set()
for name, data in sorted(streams.items()):
    if data not in seen:
        seen.add(data)
        (frame_corpus / name).write_bytes(data)
(frame_corpus / "every-command").write_bytes(b"".join(bytes([c, 0, 9, 0, 2]) + b"a\0" * (c != 0) for c in range(256)))
(frame_corpus / "id-zero").write_bytes(bytes.fromhex("1400000006767700310035"))
(frame_corpus / "nul-soup").write_bytes(bytes.fromhex("1100010100") + bytes(256))
(frame_corpus / "length-65535").write_bytes(bytes.fromhex("37ffffffff") + b"x" * 40)
for index, body in enumerate(sorted(bodies)):
    (info_corpus / f"internal-{index:02}").write_bytes(body)
