# SPDX-License-Identifier: Apache-2.0
# A computer whose only network is its Wi-Fi: the set-up borrows the card and puts the home network back, whatever happens.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
place phy0 home wlhome
place phy1 dev wldev
place phy2 phone wlphone
cloud_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
# As a distribution sets it up: its control socket is where `muster provision` looks.
printf 'ctrl_interface=/run/wpa_supplicant\nnetwork={\nssid="HomeNet"\npsk="correct horse"\nscan_freq=2412 2437 2462\n}\nnetwork={\nssid="Other"\npsk="other horse"\ndisabled=1\n}\n' > /tmp/laptop.conf
in_ns phone wpa_supplicant -B -q -D nl80211 -i wlphone -c /tmp/laptop.conf -P /run/laptop.pid -f /tmp/laptop.log -t
laptop() { in_ns phone wpa_cli -p /run/wpa_supplicant -i wlphone "$@"; }
at_home() { laptop status | grep -q 'wpa_state=COMPLETED' && laptop status | grep -q '^ssid=HomeNet$' && in_ns phone ping -c 1 -W 1 "$cloud_address"; }
wait_for 30 "the laptop on its home network" eval 'laptop status | grep -q COMPLETED'
in_ns phone udhcpc -q -n -f -t 10 -T 1 -i wlphone -s /radio/udhcpc.sh > /tmp/udhcpc.log 2>&1 || fail "the laptop gets no address"
wait_for 10 "the laptop to reach the cloud" at_home
agent_up --ca /tmp/cloud/tls/ca.crt
wait_for 60 "the device open for set-up" told setup_opened
pass "the laptop is at home, the device is open"
laptop_address() { in_ns phone ip -4 -o addr show dev wlphone | awk '{ print $4 }'; in_ns phone ip route show default; }
address=$(laptop_address)
networks=$(laptop list_networks)
put_back() {
  wait_for 60 "$1: the laptop is at home again" at_home
  [ "$(laptop_address)" = "$address" ] || fail "$1: another address: $(laptop_address), not $address"
  [ "$(laptop list_networks)" = "$networks" ] || fail "$1: other networks: $(laptop list_networks)"
  pass "$1: the laptop is on its own network, with its address and its list as before"
}

set_up wrong HomeNet "wrong horse"
grep -q '(join_network, code 722)' "$shown" || fail "another failure: $(cat "$shown")"
put_back "after a failure"
api GET 'provision/session?sessionId=1' | grep -q '"code":722' || fail "the cloud was not told: $(api GET 'provision/session?sessionId=1')"
pass "the cloud was told of the failure once it could be reached again"

set_up_beside stopped HomeNet "correct horse"
wait_for 60 "the laptop on the device's network" grep -q 'ok      join_device' /tmp/stopped.log
kill -INT $set_up_pid
wait $set_up_pid
[ $? != 0 ] || fail "it was stopped, and says that all is well"
grep -q 'code 910' /tmp/stopped.log || fail "it does not say that it was stopped: $(cat /tmp/stopped.log)"
put_back "after Ctrl-C"

wait_for 60 "the device open again" device_is_open
set_up right HomeNet "correct horse"
[ "$status" = 0 ] || fail "$(cat "$shown")"
put_back "after a set-up"
wait_for 20 "the device keeps its settings" told '"step":"stored"'
cat /tmp/right.log

# What cannot be done is said in a sentence.
refused() {  # refused SENTENCE COMMAND...: it ends at once, with this
  sentence=$1; shift
  "$@" > /tmp/refused.log 2>&1 < /dev/null && fail "it did not refuse: $*"
  grep -q "$sentence" /tmp/refused.log || fail "$*: $(cat /tmp/refused.log)"
}
refused 'There is no network interface nothing0' in_ns phone muster provision --radio wpa:nothing0
refused 'lo is no Wi-Fi card' in_ns phone muster provision --radio wpa:lo
refused 'as root' in_ns phone su -s /bin/sh nobody -c 'muster provision --radio wpa:wlphone'
kill "$(cat /run/laptop.pid)"
wait_for 5 "the end of the laptop's wpa_supplicant" test ! -e /run/wpa_supplicant/wlphone
refused 'Install the package wpasupplicant' in_ns phone env PATH=/usr/bin muster provision --radio wpa:wlphone
# From here with a cable, so that the cloud is not what fails.
in_ns phone ip route flush default 2> /dev/null
phone_online
mkdir -p /tmp/broken
printf '#!/bin/sh\nexit 1\n' > /tmp/broken/wpa_supplicant
chmod +x /tmp/broken/wpa_supplicant
refused 'find_device, code 911' in_ns phone env PATH=/tmp/broken:/usr/bin muster provision --radio wpa:wlphone
# A card that another program has and cannot be asked about, as NetworkManager's is.
grep -v ctrl_interface /tmp/laptop.conf > /tmp/other.conf
in_ns phone wpa_supplicant -B -q -D nl80211 -i wlphone -c /tmp/other.conf -P /run/other.pid
wait_for 30 "the card to be in use" eval 'in_ns phone iw dev wlphone link | grep -q "SSID: HomeNet"'
refused 'wlphone is used by another program' in_ns phone muster provision --radio wpa:wlphone
in_ns phone iw dev wlphone link | grep -q "SSID: HomeNet" || fail "it was taken all the same"
kill "$(cat /run/other.pid)"
wait_for 5 "its end" test ! -e /run/other.pid
pass "what cannot be done is said in a sentence"
keep_logs
exit 0
