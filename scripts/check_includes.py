#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the include arrows of docs/architecture.md: which folder may include which, and which system headers are out of bounds.

Includes are written from the repository's root, so that an include names its module. Exit status 1 and one line a violation.
`--self-test` plants violations and checks that each is found.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent

# Module (longest matching folder wins) -> folders it may include besides itself. Tests, benchmarks and fuzz targets beside the
# code obey TEST_EXTRA as well.
MAY_INCLUDE = {
    "wire": [],
    "agent/port": ["wire"],
    "agent/core": ["wire", "agent/port"],
    "agent/ports/linux": ["wire", "agent/core", "agent/port"],
    "agent/ports/sim": ["wire", "agent/core", "agent/port"],
    "agent/app": ["wire", "agent"],
    "agent/size": ["wire", "agent/core", "agent/port"],
    "provisioner": ["wire", "agent/port/clock.hpp"],  # It needs a number for the time.
    # Its ways to a device: of the simulation the air only; and what a device's radio knows of the machine, a host's does too.
    "provisioner/radios": ["wire", "agent/port", "agent/ports/linux", "agent/ports/sim/air.hpp", "agent/ports/sim/air_radio.hpp", "provisioner"],
    "cloud/base": ["wire"],
    "cloud/domain": ["cloud/base"],
    "cloud/protocol": ["wire", "cloud/base", "cloud/domain"],
    "cloud/bus": ["cloud/base", "cloud/domain"],
    "cloud/bus/local": ["cloud/base", "cloud/domain", "cloud/bus"],
    "cloud/store": ["cloud/base", "cloud/domain"],
    "cloud/store/sqlite": ["cloud/base", "cloud/domain", "cloud/store"],
    "cloud/store/faulty": ["cloud/base", "cloud/domain", "cloud/store"],
    "cloud/mail": ["cloud/base", "cloud/domain"],
    "cloud/api": ["wire", "cloud/base", "cloud/domain", "cloud/mail"],
    "cloud/net": ["wire", "cloud/base", "cloud/domain", "cloud/mail", "cloud/protocol", "cloud/api"],  # mail: what the API's options hold.
    "cloud/webhook": ["cloud/base", "cloud/domain"],
    "cloud/main": ["wire", "cloud"],
    "cli": ["wire", "agent/port", "agent/ports/linux", "agent/ports/sim", "provisioner", "cloud/base", "cloud/domain", "cloud/main", "cloud/store/backup"],  # Concrete backends are for cloud/main to name.
    "bench": ["wire", "cloud"],  # What prepares or measures parts of the cloud from the inside; the load generator has a codec of its own.
    "tests": ["wire", "agent", "provisioner", "cloud", "cli"],
    "cmake": [],
}

# Backends of one kind never see each other (also not through a broader permission above).
APART = [["cloud/store/sqlite", "cloud/store/postgres"], ["cloud/bus/local", "cloud/bus/nats"]]

# System headers that would bring I/O, a byte layout or a heavy library where it does not belong.
SOCKETS = r"sys/socket\.h|sys/epoll\.h|netinet/.*|arpa/inet\.h|netdb\.h|boost/asio.*|openssl/.*"
FORBIDDEN = {
    "wire": rf"{SOCKETS}|boost/.*|sodium\.h|sqlite3\.h|iostream|fstream|vector|string|memory|functional|map|unordered_map",
    "agent/core": rf"{SOCKETS}|boost/.*|sodium\.h|sqlite3\.h|iostream|fstream|thread|mutex",
    "provisioner": rf"{SOCKETS}|poll\.h|unistd\.h|boost/.*|fstream|iostream|thread|mutex|chrono",
    "cloud/domain": rf"{SOCKETS}|boost/(json|beast).*|sqlite3\.h|libpq-fe\.h|sodium\.h|fstream|iostream|unistd\.h|fcntl\.h",
    "cloud/protocol": rf"{SOCKETS}|boost/(json|beast).*|sqlite3\.h|libpq-fe\.h|unistd\.h|fcntl\.h",
    "cloud/api": r"sys/socket\.h|sys/epoll\.h|netinet/.*|arpa/inet\.h|netdb\.h|boost/asio.*|openssl/(ssl|bio)\.h|sqlite3\.h|libpq-fe\.h",
    "cloud/net": r"sqlite3\.h|libpq-fe\.h",
}

# A test may use what it takes to show its module at work.
TEST_EXTRA = {
    "wire": [],
    "agent/core": ["agent/ports/sim"],
    "agent/ports/linux": ["agent/ports/sim"],
    "cloud/domain": ["cloud/store/memory"],
    "cloud/protocol": ["cloud/store", "agent"],
    "cloud/bus": ["cloud/bus"],
    "cloud/store": ["cloud/store"],
    "cloud/store/sqlite": ["cloud/store"],
    "cloud/store/faulty": ["cloud/store"],
    "cloud/mail": ["cloud/store"],
    "cloud/webhook": ["cloud/store"],
    "cloud/api": ["cloud/store", "cloud/bus"],
    "cloud/net": ["cloud/store", "cloud/bus", "agent"],
    "cli": ["cloud"],
    "provisioner": ["agent"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TEST_FILE = re.compile(r"(_test|_fuzz|_bench|_contract|_test_rig|_rig)\.(cpp|hpp)$|(^|/)(test_|testing_)[^/]*$|temporary_folder\.hpp$")


def under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def module_of(path: str) -> str | None:
    matches = [module for module in MAY_INCLUDE if under(path, module)]
    return max(matches, key=len) if matches else None


def violations(path: str, text: str):
    """Lines that break an arrow, as (line number, sentence)."""
    module = module_of(path)
    if module is None:
        yield 1, f"{path} lies in no module that scripts/check_includes.py knows"
        return
    is_test = bool(TEST_FILE.search(path))
    allowed = [module, *MAY_INCLUDE[module], *(TEST_EXTRA.get(module, []) if is_test else [])]
    if module == "bench" and not any(word in path for word in ("seed", "lookup", "permission")):
        allowed = ["bench"]
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, name = match.groups()
        first = PurePosixPath(name).parts[0]
        if quote == "<":
            pattern = FORBIDDEN.get(module)
            if pattern and not is_test and re.fullmatch(pattern, name):
                yield number, f"{module} must not include <{name}>"
            continue
        if name.startswith(".") or first not in {PurePosixPath(m).parts[0] for m in MAY_INCLUDE}:
            yield number, f'"{name}" is not written from the repository\'s root'
            continue
        if not any(under(name, folder) for folder in allowed):
            yield number, f"{module} must not include {name}"
        for backends in APART:
            here = next((b for b in backends if under(path, b)), None)
            if here and any(under(name, b) for b in backends if b != here):
                yield number, f"backends must not see each other: {name}"


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", "*.cpp", "*.hpp", "*.c", "*.h"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:  # No work tree of git: a source archive.
        names = [str(p.relative_to(ROOT)) for suffix in ("cpp", "hpp", "c", "h") for p in ROOT.rglob(f"*.{suffix}")]
    return sorted(n for n in names if not n.startswith("build/") and "node_modules/" not in n and (ROOT / n).is_file())


def self_test() -> int:
    planted = [
        ("cloud/domain/x.cpp", '#include "wire/frame.hpp"'),
        ("cloud/domain/x.cpp", "#include <sys/socket.h>"),
        ("cloud/domain/x.cpp", "#include <boost/json.hpp>"),
        ("cloud/domain/x.hpp", "#include <sqlite3.h>"),
        ("cloud/domain/x_test.cpp", '#include "cloud/net/loop.hpp"'),
        ("cloud/protocol/binary/x.cpp", '#include "cloud/net/loop.hpp"'),
        ("cloud/protocol/binary/x.cpp", "#include <sys/epoll.h>"),
        ("cloud/base/x.cpp", '#include "cloud/domain/device.hpp"'),
        ("cloud/api/x.cpp", '#include "cloud/store/sqlite/store.hpp"'),
        ("cloud/net/x.cpp", '#include "cloud/main/config.hpp"'),
        ("cloud/store/sqlite/x.cpp", '#include "cloud/store/postgres/x.hpp"'),
        ("cloud/store/sqlite/x.cpp", '#include "cloud/api/x.hpp"'),
        ("wire/x.cpp", '#include "cloud/base/result.hpp"'),
        ("wire/x.hpp", "#include <vector>"),
        ("agent/core/x.cpp", '#include "agent/ports/linux/x.hpp"'),
        ("agent/core/x.cpp", '#include "cloud/base/clock.hpp"'),
        ("agent/ports/linux/x.cpp", '#include "cloud/base/clock.hpp"'),
        ("provisioner/x.cpp", '#include "agent/ports/sim/air.hpp"'),
        ("provisioner/x.cpp", '#include "agent/ports/linux/loop.hpp"'),
        ("provisioner/x.cpp", "#include <sys/socket.h>"),
        ("provisioner/radios/x.cpp", '#include "agent/ports/sim/network.hpp"'),
        ("provisioner/radios/x.cpp", '#include "agent/core/device.hpp"'),
        ("bench/load_generator.cpp", '#include "wire/frame.hpp"'),
        ("cloud/net/x.cpp", '#include "loop.hpp"'),
        ("cloud/net/x.cpp", '#include "../base/log.hpp"'),
        ("somewhere/x.cpp", "int x;"),
    ]
    good = [
        ("cloud/domain/x.cpp", '#include "cloud/base/ids.hpp"\n#include <vector>'),
        ("cloud/net/x.cpp", '#include "cloud/protocol/binary/session.hpp"\n#include <openssl/ssl.h>'),
        ("cloud/main/x.cpp", '#include "cloud/store/sqlite/store.hpp"'),
        ("wire/x_test.cpp", "#include <vector>"),
    ]
    missed = [p for p in planted if not list(violations(*p))]
    wrong = [p for p in good if list(violations(*p))]
    for path, text in missed:
        print(f"not found: {path}: {text}")
    for path, text in wrong:
        print(f"found without reason: {path}: {text}")
    print(f"self-test: {len(planted)} planted violations, {len(missed)} missed; {len(good)} good files, {len(wrong)} refused")
    return 1 if missed or wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    names = files()
    count = 0
    for name in names:
        for number, sentence in violations(name, (ROOT / name).read_text(encoding="utf-8", errors="replace")):
            print(f"{name}:{number}: {sentence}")
            count += 1
    print(f"{len(names)} files, {count} violations of the include arrows")
    return 1 if count or not names else 0


if __name__ == "__main__":
    sys.exit(main())
