#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program itself, as a script sees it: exit codes, and what goes to which stream.
set -u
muster=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CONFIG_HOME="$work/config"
unset MUSTER_URL MUSTER_TOKEN MUSTER_CA
failures=0

expect() {  # CODE ARGUMENTS...
  wanted=$1
  shift
  "$muster" "$@" >"$work/out" 2>"$work/err" </dev/null
  got=$?
  if [ "$got" != "$wanted" ]; then
    echo "muster $*: exit $got, wanted $wanted" >&2
    cat "$work/err" >&2
    failures=$((failures + 1))
  fi
}
says() {  # STREAM TEXT
  if ! grep -q -F -- "$2" "$work/$1"; then
    echo "  its $1 has no \"$2\":" >&2
    cat "$work/$1" >&2
    failures=$((failures + 1))
  fi
}

expect 0 --help; says out "device"
expect 0 version; says out "muster "
expect 0 version --json; says out '{"version":'
expect 0 completion fish; says out "complete -c muster"
expect 2; says err "say what to do"
expect 2 devcie; says err "did you mean device?"
expect 2 device show; says err "Run \`muster device show --help\`"
expect 2 device list --limit many
expect 2 device list; says err "muster login"
expect 2 serve; says err "--data"
expect 2 login --url localhost:8080 --email a@b.c; says err "is not a URL"
expect 2 login --url http://127.0.0.1:1 --email a@b.c; says err "stdin"
expect 3 device list --url http://127.0.0.1:1; says err "not signed in"
expect 2 backup --data "$work/none" "$work/b"; says err "is not a directory"
expect 2 restore "$work/none" --data "$work/new"
expect 2 key rotate --data "$work"
expect 2 admin recover --data "$work" --email a@b.c
export MUSTER_TOKEN=x
expect 4 device list --url http://127.0.0.1:1; says err "Is the server running?"
expect 4 device watch --url http://127.0.0.1:1
expect 4 device list --url http://name.invalid
MUSTER_URL=http://127.0.0.1:1 expect 4 org list

printf 'a password\n' | "$muster" login --url http://127.0.0.1:1 --email a@b.c >"$work/out" 2>"$work/err"
[ $? = 4 ] || { echo "login with nobody there: wrong exit" >&2; failures=$((failures + 1)); }
[ ! -e "$XDG_CONFIG_HOME/muster/login.json" ] || { echo "a failed login left a file" >&2; failures=$((failures + 1)); }

[ "$failures" = 0 ]
