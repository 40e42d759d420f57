#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks through every text of the repository: nothing left marked as unfinished, licence lines where they belong, every
relative link of a Markdown file alive (also its #section), every package that `dev` installs explained in docs/dependencies.md and
none there that it does not install. Exit status 1 and one line a finding."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPDX = "SPDX-License-Identifier: Apache-2.0"
# Written in two parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["FIX" + "ME", "TO" + "DO", "XX" + "X"]) + r")\b")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = {".cpp", ".hpp", ".c", ".h", ".py", ".sh", ".mjs", ".js", ".ts", ".cmake"}


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        names = [ROOT / n for n in listed.stdout.splitlines()]
    else:
        names = list(ROOT.rglob("*"))
    skipped = {"build", "node_modules", ".git", ".muster"}
    return sorted(p for p in names if p.is_file() and not skipped & set(p.relative_to(ROOT).parts) and "corpus" not in p.parts)


def anchors(markdown: str) -> set[str]:
    """The #names of a file's headings, as code forges make them."""
    found: set[str] = set()
    fenced = False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if fenced or not re.match(r"#{1,6} ", line):
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip())
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def links(markdown: str):
    """(line number, target) of every link outside code."""
    fenced = False
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if fenced or line.startswith("    "):
            continue
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            yield number, match.group(1) or match.group(2)


def check_markdown(path: Path, text: str):
    for number, target in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # Elsewhere: not looked up, so that a check needs no network.
        name, _, section = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        if ROOT not in linked.parents and linked != ROOT:
            yield number, f"link out of the repository: {target}"
        elif not linked.exists():
            yield number, f"dead link: {target}"
        elif section and linked.suffix == ".md" and section not in anchors(linked.read_text(encoding="utf-8")):
            yield number, f"no such section: {target}"


def check_packages():
    """The lists at the head of `dev` against the table."""
    lists = re.findall(r"^packages_\w+=\(([^)]*)\)", (ROOT / "dev").read_text(encoding="utf-8"), re.MULTILINE)
    installed = set(" ".join(lists).split())
    table = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    explained = {name for cell in first_cells[1:] if "(npm)" not in cell for name in cell.split(", ") if name and not name.startswith("-")}
    for name in sorted(installed - explained):
        yield f"dev installs {name}, docs/dependencies.md does not say what for"
    for name in sorted(explained - installed - {"npm"}):  # npm: only where no Node is.
        yield f"docs/dependencies.md explains {name}, dev does not install it"


def main() -> int:
    count = 0
    looked = 0
    for sentence in check_packages():
        print(f"dev: {sentence}")
        count += 1
    for path in files():
        raw = path.read_bytes()
        if b"\0" in raw:
            continue
        text = raw.decode("utf-8", errors="replace")
        looked += 1
        findings = [(n, f"left unfinished: {m.group(1)}") for n, line in enumerate(text.splitlines(), 1)
                    if path.suffix in CODE and (m := UNFINISHED.search(line))]
        if path.suffix in {".cpp", ".hpp", ".c", ".h"} and SPDX not in "\n".join(text.splitlines()[:3]):
            findings.append((1, f"no line '{SPDX}' at its head"))
        if path.suffix == ".md":
            findings += list(check_markdown(path, text))
        for number, sentence in findings:
            print(f"{path.relative_to(ROOT)}:{number}: {sentence}")
            count += 1
    print(f"{looked} texts, {count} findings")
    return 1 if count or not looked else 0


if __name__ == "__main__":
    sys.exit(main())
