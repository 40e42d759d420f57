#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone, with the flags of a source file of its folder: check_headers.py BUILD_DIR [HEADER]...

A header that compiles only after another one breaks whoever includes it first. Nothing is written but a note of what passed
(BUILD_DIR/headers-alone.json), so that a second run looks only at headers whose own text or included headers changed.
"""
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("-D", "-I", "-std=", "-isystem", "-f", "-W")


def commands(build: Path) -> dict[Path, list[str]]:
    """Folder -> compiler and flags of one of its source files."""
    result: dict[Path, list[str]] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        compiler = next(i for i, word in enumerate(words) if Path(word).name in {"c++", "g++", "clang++", "clang++-19"})
        flags, position = [words[compiler]], compiler + 1
        while position < len(words):
            word = words[position]
            if word == "-isystem":
                flags += [word, words[position + 1]]
                position += 1
            elif word.startswith(KEPT) and not word.startswith("-fsanitize"):
                flags.append(word)
            position += 1
        result.setdefault(Path(entry["file"]).parent, flags)
    return result


def flags_for(header: Path, by_folder: dict[Path, list[str]]) -> list[str] | None:
    folder = header.parent
    if folder in by_folder:
        return by_folder[folder]
    below = [f for f in sorted(by_folder) if folder in f.parents]
    if below:
        return by_folder[below[0]]
    while folder != ROOT and ROOT in folder.parents:
        folder = folder.parent
        if folder in by_folder:
            return by_folder[folder]
        near = [f for f in sorted(by_folder) if folder in f.parents]
        if near:
            return by_folder[near[0]]
    return None


def state_of(included: list[str], flags: list[str]) -> str:
    digest = hashlib.sha256("\0".join(flags).encode())
    for name in included:
        try:
            digest.update(Path(name).read_bytes())
        except OSError:
            return ""
    return digest.hexdigest()


def compile_alone(header: Path, flags: list[str]) -> tuple[bool, str, list[str]]:
    name = header.relative_to(ROOT)
    ran = subprocess.run([*flags, "-fsyntax-only", "-Werror", "-H", "-x", "c++", "-"], input=f'#include "{name}"\n', text=True,
                         capture_output=True, cwd=ROOT, timeout=300)
    own, said = [], []
    for line in ran.stderr.splitlines():
        path = line.lstrip(". ")
        if line.startswith(".") and not line.startswith("./"):
            full = Path(path) if path.startswith("/") else ROOT / path
            if ROOT in full.parents:
                own.append(str(full))
        elif not line.startswith("Multiple include guards") and not line.startswith("/usr/"):
            said.append(line)
    return ran.returncode == 0, "\n".join(said), sorted(set(own))


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    build = Path(sys.argv[1]).resolve()
    by_folder = commands(build)
    listed = sys.argv[2:] or subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", "*.hpp", "*.h"], cwd=ROOT,
                                            capture_output=True, text=True, check=True).stdout.splitlines()
    headers = sorted({(ROOT / name).resolve() for name in listed if (ROOT / name).is_file()})
    note = build / "headers-alone.json"
    known = json.loads(note.read_text()) if note.exists() else {}

    todo, failed = [], 0
    for header in headers:
        flags = flags_for(header, by_folder)
        if flags is None:
            print(f"{header.relative_to(ROOT)}: no source file near it tells how to compile it")
            failed += 1
        elif not ((old := known.get(str(header))) and old["state"] == state_of(old["included"], flags)):
            todo.append((header, flags))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for (header, flags), (good, said, included) in zip(todo, pool.map(lambda job: compile_alone(*job), todo)):
            if good:
                known[str(header)] = {"included": included, "state": state_of(included, flags)}
            else:
                print(f"{header.relative_to(ROOT)} does not compile alone:\n{said}")
                known.pop(str(header), None)
                failed += 1
    note.write_text(json.dumps(known))
    print(f"{len(headers)} headers, {len(todo)} compiled now, {failed} failed")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
