# SPDX-License-Identifier: Apache-2.0
# The cloud and what a person does with it (sourced after lib.sh). It is in a namespace of its own, net, that stands for the Internet: the
# home's router forwards to it, the phone reaches it beside its Wi-Fi, as over mobile data (phone_online). It is cloud.test, 10.9.9.9, ports
# 8080 plain and 9443 TLS.

field() { sed -nE "s/.*\"$1\":(\"([^\"]*)\"|(-?[0-9]+)).*/\2\3/p" | head -1; }  # field NAME: of JSON on stdin
cloud_address=10.9.9.9
cloud_url=http://$cloud_address:8080
# cable NAMESPACE NUMBER: from there to the Internet, and a default route over it.
cable() {
  ip link add "to-$1" netns net type veth peer name uplink netns "$1" || fail "no cable to $1"
  in_ns net ip addr add "10.9.$2.1/30" dev "to-$1"
  in_ns net ip link set "to-$1" up
  in_ns "$1" ip addr add "10.9.$2.2/30" dev uplink
  in_ns "$1" ip link set uplink up
  in_ns "$1" ip route add default via "10.9.$2.1"
}
internet_up() {
  ip netns add net
  in_ns net ip link set lo up
  in_ns net ip addr add "$cloud_address/32" dev lo
  cable home 1
  in_ns net ip route add 192.168.77.0/24 via 10.9.1.2
  in_ns home sysctl -q -w net.ipv4.ip_forward=1
}
phone_online() { cable phone 2; }
cloud_start() {
  [ -e /run/netns/net ] || internet_up
  : > /tmp/ready.json
  /sbin/ip netns exec net muster serve --data /tmp/cloud --listen "$cloud_address:8080" --listen-tls "$cloud_address:9443" \
    --public-url https://cloud.test:9443 > /tmp/ready.json 2> /tmp/cloud.log &
  cloud_pid=$!
  wait_for 120 "the cloud" grep -q ready /tmp/ready.json
}
# The first administrator, a template, and an access token in $access; `muster` is signed in with it, wherever it is called.
cloud_up() {
  cloud_start
  field setup_code < /tmp/ready.json > /tmp/code
  echo "correct-horse-battery" >> /tmp/code
  export HOME=/tmp XDG_CONFIG_HOME=/tmp/xdg
  in_ns net muster setup --url $cloud_url --code - --email admin@example.com --json < /tmp/code > /tmp/setup.log 2>&1 || fail "no first administrator"
  access=$(api POST session '{"email":"admin@example.com","password":"correct-horse-battery"}' | field accessToken)
  [ -n "$access" ] || fail "no sign-in"
  export MUSTER_URL=$cloud_url MUSTER_TOKEN=$access
  template=$(in_ns net muster template create --name Lamp --json 2> /tmp/template.log | field templateId)
  [ -n "$template" ] || fail "no template"
}
api() {  # api METHOD PATH [BODY]
  in_ns net curl -s -m 20 -X "$1" ${access:+-H "Authorization: Bearer $access"} -H 'Content-Type: application/json' ${3:+-d "$3"} "$cloud_url/api/v1/$2"
}
# A token for one new device, in $token; its session in $session.
new_token() {
  answer=$(api POST device/provision/token "{\"templateId\":\"$template\"}")
  token=$(printf '%s' "$answer" | field token)
  session=$(printf '%s' "$answer" | field sessionId)
  [ -n "$token" ] || fail "no token: $answer"
}
session_state() { api GET "provision/session?sessionId=$session" | field state; }

# --- the device
agent_up() {  # agent_up [OPTION]...
  /sbin/ip netns exec dev muster-agent --store /tmp/device --template "$template" --template-name Lamp --radio wpa:wldev --json "$@" \
    > /tmp/agent.log 2> /tmp/agent-errors.log &
  agent_pid=$!
  mark=1
}
told() { tail -n "+$mark" /tmp/agent.log | grep -q "$1"; }
mark_now() { mark=$(($(wc -l < /tmp/agent.log) + 1)); start=$(now); }
# expect SECONDS WHAT PATTERN: the device says so, from the last mark_now on
expect() {
  wait_for "$(($1 * 2))" "$2" told "$3"
  since "$start" "$1" "$2"
}

# --- the phone by hand, as an app of the second generation sees a device
phone_joins() {
  [ -e /tmp/events_wlphone.log ] || station_up phone wlphone
  name=$(sed -nE 's/.*"name":"([^"]*)".*/\1/p' /tmp/agent.log | tail -1)
  station_join phone wlphone "$name"
  wait_for 30 "the phone on $name" joined phone wlphone
  in_ns phone udhcpc -q -n -f -t 10 -T 1 -i wlphone -s /radio/udhcpc.sh > /tmp/udhcpc.log 2>&1 || fail "the phone gets no address"
}
get() { in_ns phone curl -s -m 30 "$@"; }
send_settings() {  # send_settings SSID PASSWORD [PORT [HOST]]
  get -G http://192.168.4.1/config --data-urlencode "if=wifi" --data-urlencode "ssid=$1" --data-urlencode "pass=$2" \
    --data-urlencode "blynk=$token" --data-urlencode "host=${4:-cloud.test}" --data-urlencode "port=${3:-9443}" > /tmp/config.log
  grep -q '"ok"' /tmp/config.log || fail "the device refuses the settings: $(cat /tmp/config.log)"
}
last_error() { get http://192.168.4.1/board_info.json | field last_error; }
