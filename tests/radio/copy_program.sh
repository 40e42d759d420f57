#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# copy_program.sh OUT IMAGE FILE:FOLDER...: copies programs into the tree IMAGE, each with the shared libraries that it needs, which are
# taken from the unpacked packages in OUT/tree first and from this machine otherwise.
set -euo pipefail
out=$1 image=$2
shift 2
libraries=$out/tree/lib/x86_64-linux-gnu:$out/tree/usr/lib/x86_64-linux-gnu
mkdir -p "$image/lib64" "$image/lib/x86_64-linux-gnu"
for pair in "$@"; do
  file=${pair%:*} folder=${pair##*:}
  [ -f "$file" ] || { echo "radio: no program $file" >&2; exit 1; }
  mkdir -p "$image$folder"
  cp -L "$file" "$image$folder/"
  needed=$(LD_LIBRARY_PATH=$libraries ldd "$file" || true)  # A static program has none.
  if grep -q 'not found' <<< "$needed"; then
    printf 'radio: %s lacks a library:\n%s\n' "$file" "$needed" >&2
    exit 1
  fi
  grep -oE '/[^ ]+' <<< "$needed" | while read -r library; do
    case $library in
      /lib64/*) cp -nL "$library" "$image/lib64/" ;;
      *) cp -nL "$library" "$image/lib/x86_64-linux-gnu/" ;;
    esac
  done || true
done
