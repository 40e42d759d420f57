# SPDX-License-Identifier: Apache-2.0
# Set-ups by `muster provision` on the phone, and what is expected of them (sourced after cloud.sh). A case prints its line of the table that
# run.sh ends with: CASE|what|stage|code|seconds|limit.

# Router, cloud, device and phone, each in its place, and the device open for set-up.
world_up() {
  place phy0 home wlhome
  place phy1 dev wldev
  place phy2 phone wlphone
  cloud_up
  phone_online
  agent_up --ca /tmp/cloud/tls/ca.crt
  wait_for 60 "the device open for set-up" told setup_opened
  pass "cloud, router, phone and device are there"
}

# provision NAME [OPTION]...: on the phone, with its Wi-Fi card; what it shows goes to /tmp/NAME.log
provision() {
  shown=/tmp/$1.log
  shift
  mark_now
  in_ns phone muster provision --radio wpa:wlphone --template "$template" "$@" > "$shown" 2>&1
  status=$?
}
# set_up NAME SSID PASSWORD [OPTION]...
set_up() {
  file=$1 ssid=$2 password=$3; shift 3
  printf '%s\n' "$password" > /tmp/password
  provision "$file" --ssid "$ssid" --password-stdin "$@" < /tmp/password
}
# The same in the background, in $set_up_pid.
set_up_beside() {
  shown=/tmp/$1.log
  printf '%s\n' "$3" > /tmp/password
  mark_now
  /sbin/ip netns exec phone muster provision --radio wpa:wlphone --template "$template" --ssid "$2" --password-stdin < /tmp/password > "$shown" 2>&1 &
  set_up_pid=$!
}
# When the text says that a step ended so: shown_at ok|FAILED STEP
shown_at() { sed -nE "s/^ *([0-9.]+) s  $1 +$2(:.*)?\$/\1/p" "$shown" | tail -1; }
# When the device told a step, in seconds: agent_at STEP
agent_at() { tail -n "+$mark" /tmp/agent.log | sed -nE "/\"step\":\"$1\"/s/.*\"t_ms\":([0-9]+).*/\1/p" | head -1 | awk '{ print $1 / 1000 }'; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a - b }'; }

device_is_open() { told '"state":"wait_config"'; }

# expect_failure WHAT STAGE CODE FROM LIMIT: the set-up ended with this code at this stage, in the device's journal and for the person; the
# device knew it LIMIT seconds after its step FROM, the person heard it within 3 s more; and the device is open for another try.
expect_failure() {
  label=$1
  [ "$status" != 0 ] || fail "$label: it succeeded: $(cat "$shown")"
  grep -q "($2, code $3)" "$shown" || fail "$label: the person is told something else: $(cat "$shown")"
  told "\"step\":\"gave_up\".*\"code\":$3" || fail "$label: the device says something else"
  knew=$(minus "$(agent_at gave_up)" "$(agent_at "$4")")
  heard=$(minus "$(shown_at FAILED "$2")" "$(shown_at ok send_settings)")
  between 0 "$knew" "$5" "$label: code $3 is known"
  between "$(minus "$(agent_at gave_up)" "$(agent_at settings_taken)")" "$heard" 3 "$label: the person hears of it"
  wait_for 60 "$label: the device open again" device_is_open
  echo "CASE|$label|$2|$3|$knew|$5"
  sed -n '/code [0-9]*)$/,$p' "$shown" | sed 's/^/SAID   /'
}
# expect_online WHAT LIMIT: by the times that the person is shown, from the device's yes to the settings to the cloud's to the device.
expect_online() {
  [ "$status" = 0 ] || fail "$1: $(cat "$shown")"
  grep -q 'is online\.' "$shown" || fail "$1: $(cat "$shown")"
  took=$(minus "$(shown_at ok reach_cloud)" "$(shown_at ok send_settings)")
  between 0 "$took" "$2" "$1: online"
  wait_for 20 "$1: the device keeps its settings" told '"step":"stored"'
  echo "CASE|$1|online|0|$took|$2"
}
# The device forgets everything, as by its button, and opens.
device_reset() {
  mark_now
  kill -USR2 "$agent_pid"
  wait_for 30 "the device to forget its settings" told '"step":"reset"'
}
