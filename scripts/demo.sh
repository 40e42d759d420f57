#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `./dev run` does after building: starts the cloud on ./.muster, makes the first administrator, a template and a device on the
# first start, lets muster-agent activate that device by hand, then provisions a second one that has no credentials, over an air that both
# programs share instead of a radio, and prints what happened. Ctrl-C stops all it started.
#   demo.sh BIN_DIR [--once]     --once: stop again as soon as the devices are active (for tests)
set -euo pipefail

bin=$(cd "$1" && pwd)
once=${2:-}
home=$PWD/.muster
data=$home/data
agent_store=$home/agent
password_file=$home/administrator-password
email=admin@example.com
mkdir -p "$home"
chmod 700 "$home"

now_ms() { echo $(($(date +%s%N) / 1000000)); }
started=$(now_ms)
step() { printf '  %6d ms  %s\n' $(($(now_ms) - started)) "$1"; }
field() { sed -nE "s/.*\"$1\":(\"([^\"]*)\"|([0-9]+)).*/\2\3/p" | head -1; }  # field NAME: of the one-line JSON on stdin

server= agent= lamp=
stop() {
  local status=${1:-$?}  # First: every command after it sets $? anew.
  trap - EXIT INT TERM
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  [ -z "$lamp" ] || kill "$lamp" 2>/dev/null || true
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$agent" ] || wait "$agent" 2>/dev/null || true
  [ -z "$lamp" ] || wait "$lamp" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  [ -n "$once" ] || [ "$status" != 0 ] || echo "Stopped. The data stays in .muster; ./dev run goes on with it."
  exit "$status"
}
trap stop EXIT
trap 'stop 0' INT TERM

fail() {
  echo "demo: $1" >&2
  [ ! -s "$home/server.log" ] || { echo "the server's last lines:" >&2; tail -5 "$home/server.log" >&2; }
  stop 1
}

# A default port that somebody else holds is named, and a free one taken.
port_or_free() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    echo "Port $1 is taken by another program; using a free one. (Stock firmware dials $1 by itself.)" >&2
    echo 0
  else
    echo "$1"
  fi
}

echo "Starting the cloud on .muster"
: > "$home/ready.json"
"$bin/muster" serve --data "$data" --listen "0.0.0.0:$(port_or_free 8080)" --listen-tls "0.0.0.0:$(port_or_free 9443)" \
  > "$home/ready.json" 2> "$home/server.log" &
server=$!
for _ in $(seq 600); do
  [ ! -s "$home/ready.json" ] || break
  kill -0 "$server" 2>/dev/null || { server=; fail "the server ended; is another ./dev run active?"; }
  sleep 0.05
done
url=$(field http < "$home/ready.json")
https=$(field https < "$home/ready.json")
[ -n "$url" ] || fail "the server did not get ready in 30 s"
step "cloud ready at $url and $https"
port=${url##*:}

export MUSTER_URL=$url
if grep -q setup_code "$home/ready.json"; then
  (umask 077 && head -c 15 /dev/urandom | base64 | tr '+/' '-_' > "$password_file")
  field setup_code < "$home/ready.json" > "$home/code"
  "$bin/muster" setup --url "$url" --code - --email "$email" --json < <(cat "$home/code" "$password_file") > /dev/null || fail "setup was refused"
  rm "$home/code"
  step "first administrator $email"
elif ! "$bin/muster" device list --json > /dev/null 2>&1; then
  [ -s "$password_file" ] || fail "no saved login for $url, and the administrator's password is not in $password_file: muster login --url $url --email YOU"
  "$bin/muster" login --url "$url" --email "$email" --json < "$password_file" > /dev/null || fail "sign-in was refused; was the password changed?"
  step "signed in as $email"
fi

if [ ! -s "$home/device" ]; then
  # Its id is kept: a start that ended before the device was there goes on with the same template.
  if [ ! -s "$home/template" ]; then
    "$bin/muster" template create --name "First steps" --json > "$home/created" || fail "the template could not be created"
    template=$(field templateId < "$home/created")
    [ -n "$template" ] || fail "no template in the answer: $(cat "$home/created")"
    echo "$template" > "$home/template"
    step "template \"First steps\" $template"
  fi
  read -r template < "$home/template"
  (umask 077 && rm -f "$home/created" && "$bin/muster" device create --template "$template" --name "This machine" --json > "$home/created") \
    || fail "the device could not be created"
  device=$(field id < "$home/created")
  [ -n "$device" ] || fail "no device in the answer"
  field token < "$home/created" > "$home/token"
  rm "$home/created"
  printf '%s %s\n' "$device" "$template" > "$home/device"
  step "device \"This machine\" (id $device) with an AuthToken of its own: manual activation"
fi
read -r device template < "$home/device"

: > "$home/agent.log"
token_option=()
if [ -s "$home/token" ]; then token_option=(--token -); else : > "$home/token"; fi
"$bin/muster-agent" --store "$agent_store" --template "$template" --host 127.0.0.1 --port "$port" --plain --json "${token_option[@]}" \
  < "$home/token" > "$home/agent.log" 2>> "$home/server.log" &
agent=$!
agent_started=$(now_ms)

# The agent's own events, as they come, each with its milliseconds since the agent's start.
seen=0 done=
for _ in $(seq 400); do
  kill -0 "$agent" 2>/dev/null || { agent=; fail "the agent ended: $(tail -1 "$home/agent.log")"; }
  while IFS= read -r line; do
    seen=$((seen + 1))
    at=$(field t_ms <<< "$line")
    at=$((agent_started - started + ${at:-0}))
    say() { printf '  %6d ms  agent: %s\n' "$at" "$1"; }
    case $(field event <<< "$line") in
      connecting) say "connecting to $(field host <<< "$line"):$(field port <<< "$line")" ;;
      connected) say "connected" ;;
      login_ok) say "AuthToken accepted: the device is ours" ;;
      info_accepted) say "told the cloud what it is, and the cloud knows it" ;;
      first_value_sent) say "first values sent"; done=1 ;;
      invalid_token) fail "the cloud refused the token; remove .muster to start anew" ;;
      disconnected | retry_in) say "$(field event <<< "$line") $(field reason <<< "$line")" ;;
    esac
  done < <(tail -n "+$((seen + 1))" "$home/agent.log")
  [ -z "$done" ] || break
  sleep 0.05
done
[ -n "$done" ] || fail "the device did not become active in 20 s"
: > "$home/token"
online=
for _ in $(seq 100); do
  if "$bin/muster" device show "$device" --json 2>/dev/null | tr -d ' ' | grep -q '"connected":true'; then online=1; break; fi
  sleep 0.05
done
[ -n "$online" ] || fail "the cloud does not see the device online"
step "the cloud sees device $device online: active"

# The second story: no token is flashed here. The air's socket has a short name, because such names are limited; hence the working directory.
air=.muster/air
: > "$home/lamp.log"
"$bin/muster-agent" --store "$home/lamp" --template "$template" --template-name "First steps" --radio "sim:$air" --ca "$data/tls/ca.crt" --json \
  > "$home/lamp.log" 2>> "$home/server.log" &
lamp=$!
if [ ! -s "$home/lamp-device" ]; then
  for _ in $(seq 200); do
    grep -q '"state":"wait_config"' "$home/lamp.log" && break
    kill -0 "$lamp" 2>/dev/null || { lamp=; fail "the second agent ended: $(tail -1 "$home/lamp.log")"; }
    sleep 0.05
  done
  step "second device: no credentials in it, open for set-up as \"$(field name < <(grep '"state":"wait_config"' "$home/lamp.log"))\""
  : > "$home/provision.log"
  "$bin/muster" provision --radio "sim:$air" --template "$template" --ssid "Muster Home" --password-stdin --json \
    <<< "muster-home" > "$home/provision.log" 2>> "$home/server.log" &
  provision=$!
  seen=0
  while :; do
    ended=
    kill -0 "$provision" 2>/dev/null || ended=1
    while IFS= read -r line; do
      seen=$((seen + 1))
      case $line in
        *'"state":"done"'*) step "provisioner: $(field step <<< "$line" | tr _ ' ')" ;;
        *'"event":"failed"'*) fail "provisioning failed at $(field step <<< "$line"): $(field message <<< "$line") $(field fix <<< "$line")" ;;
        *'"event":"done"'*) field deviceId <<< "$line" > "$home/lamp-device" ;;
      esac
    done < <(tail -n "+$((seen + 1))" "$home/provision.log")
    [ -z "$ended" ] || break
    sleep 0.05
  done
  wait "$provision" || fail "provisioning ended with an error: $(tail -1 "$home/provision.log")"
fi
read -r second < "$home/lamp-device" || fail "provisioning named no device"
online=
for _ in $(seq 200); do
  if "$bin/muster" device show "$second" --json 2>/dev/null | tr -d ' ' | grep -q '"connected":true'; then online=1; break; fi
  sleep 0.05
done
[ -n "$online" ] || fail "the cloud does not see the second device online"
step "the cloud sees device $second online: active, with a token that did not exist before"

[ -z "$once" ] || stop 0
cat <<TXT

The cloud runs at $url (devices, plain) and $https (TLS; CA in .muster/data/tls/ca.crt).
Administrator: $email, password in .muster/administrator-password

Next, in another terminal:
  alias muster=$bin/muster; export MUSTER_URL=$url
  muster device watch $device            # what this machine says, live
  muster provision sessions          # how the second device became active, step by step
  muster device create --template $template --name "My board"   # a device of your own: prints what to paste into the sketch

Ctrl-C stops the cloud and the agents.
TXT
wait "$server" || true
server=
fail "the server ended"
