#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh SCENARIO...: boots the guest once for each scenario (guest/SCENARIO.sh), on an emulated machine without any privilege.
# "smoke" is what ./dev test runs, "all" the whole list. The exit status tells whether all passed.
#   MUSTER_BIN_DIR    where muster and muster-agent are (default: build/release/bin, else build/dev/bin)
#   MUSTER_RADIO_DIR  where the guest is built (default: build/radio)
# What the guest prints goes to stdout and to OUT/SCENARIO.log, its programs' logs to OUT/logs/SCENARIO. At the end: a table of all cases.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${MUSTER_RADIO_DIR:-$root/build/radio}
export MUSTER_RADIO_DIR=$out

die() { printf 'radio: %s\n' "$*" >&2; exit 1; }
[ $# -gt 0 ] || die "usage: run.sh SCENARIO..., of: smoke all $(cd "$here/guest" && ls ./*.sh | sed 's|./||; s|\.sh$||' | grep -v -e '^lib' -e '^udhcpc' -e '^cloud\.' -e '^cloud$' -e '^provision$' -e '^portal_page' | tr '\n' ' ')"
bin=${MUSTER_BIN_DIR:-}
if [ -z "$bin" ]; then
  for bin in "$root/build/release/bin" "$root/build/dev/bin"; do [ ! -x "$bin/muster-agent" ] || break; done
fi

"$here/build.sh"
# One guest at a time: two emulated machines would only make each other late.
exec 8> "$out/.running"
flock 8
mkdir -p "$out/share"

# The programs and the scenarios go into a second archive behind the guest's own: the kernel unpacks both.
pack() {
  rm -rf "$out/added"
  mkdir -p "$out/added/radio" "$out/added/usr/bin"
  cp "$here"/guest/*.sh "$out/added/radio/"
  local program
  for program in muster muster-agent muster_radio_probe; do
    [ ! -x "$bin/$program" ] || "$here/copy_program.sh" "$out" "$out/added" "$bin/$program:/usr/bin"
  done
  (cd "$out/added" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) > "$out/added.cpio"
}

# run SCENARIO SECONDS [MODULE_SET,...]
patience=1  # Of the scenario's own limits; see guest/lib.sh.
run() {
  local scenario=$1 limit=$2 modules=${3:-wifi} log=$out/$1.log start=$SECONDS status archives=("$out/base.cpio" "$out/added.cpio")
  [ "$scenario" != nm ] || archives+=("$out/nm.cpio")
  cat "${archives[@]}" > "$out/initrd.cpio"
  rm -rf "$out/share"
  mkdir -p "$out/share"
  printf '== %s\n' "$scenario"
  timeout -k 5 "$limit" qemu-system-x86_64 -M q35 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m 1024 \
    -nodefaults -no-user-config -no-reboot -nographic -serial stdio -device virtio-rng-pci \
    -fsdev "local,id=share,path=$out/share,security_model=none" -device virtio-9p-pci,fsdev=share,mount_tag=share \
    -kernel "$out/vmlinux" -initrd "$out/initrd.cpio" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable no_timer_check lpj=4000000 rcupdate.rcu_expedited=1 random.trust_cpu=on cryptomgr.notests nokaslr patience=$patience modules=$modules scenario=$scenario now=$(date +%s)" \
    < /dev/null 2>&1 | tr -d '\r' | tee "$log" || true
  rm -rf "$out/logs/$scenario"
  mkdir -p "$out/logs"
  cp -r "$out/share" "$out/logs/$scenario"
  status=$(sed -n 's/^EXIT //p' "$log" | tail -1)
  sed -n 's/^CASE|//p' "$log" >> "$out/cases"
  if [ "${status:-99}" = 0 ]; then
    results+=("$(printf 'passed %-16s %4d s' "$scenario" $((SECONDS - start)))")
  else
    [ -n "$status" ] || printf 'FAIL %s did not end within %s s\n' "$scenario" "$limit"
    results+=("$(printf 'FAILED %-16s %4d s' "$scenario" $((SECONDS - start)))")
    failed=1
  fi
}

# What each case came to; times are the guest's.
print_cases() {
  [ -s "$out/cases" ] || return 0
  awk -F'|' 'BEGIN { printf "%-42s %-14s %6s %9s %8s\n", "case", "stage", "code", "seconds", "limit" }
             { printf "%-42s %-14s %6s %9s %8s\n", $1, $2, $3 == 0 ? "-" : $3, $4, $5 }' "$out/cases"
}

results=() failed=0
: > "$out/cases"
pack
for scenario in "$@"; do
  case $scenario in
    smoke)
      # A part of the tests: it tells what works, not how fast.
      patience=5
      run activate 300
      run ble 300 wifi,ble
      patience=1
      ;;
    all)
      run bed 120
      run port 300
      run activate 240
      run ble 300 wifi,ble
      run networks 720
      run wifi_failures 480
      run cloud_failures 600
      run early 360
      run supplicant 360
      run laptop 480
      run times 600
      run nm 600
      ;;
    *)
      [ -f "$here/guest/$scenario.sh" ] || die "no scenario $scenario"
      modules=wifi
      [ "$scenario" != ble ] || modules=wifi,ble
      run "$scenario" "${MUSTER_RADIO_LIMIT_S:-720}" "$modules"
      ;;
  esac
done
print_cases
printf '%s\n' "${results[@]}"
exit $failed
