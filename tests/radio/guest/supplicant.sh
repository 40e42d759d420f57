# SPDX-License-Identifier: Apache-2.0
# wpa_supplicant is killed and frozen under the agent: the device comes back by itself, open as it was or online. Then the agent is killed: the
# machine's name servers come back with the next one.
. /radio/lib.sh
. /radio/cloud.sh
place phy0 home wlhome
place phy1 dev wldev
# The resolv.conf that place() laid over the machine's is a mount point of its own, which cannot be replaced: it is written in place.
resolv=/etc/netns/dev/resolv.conf
printf 'nameserver 10.9.9.1\nsearch machine' > $resolv
sha256sum $resolv > /tmp/resolv.sum
cloud_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
agent_up --ca /tmp/cloud/tls/ca.crt --portal off
start=$(now)
expect 60 "the device is open for set-up" setup_opened
pass "cloud, router and device are there"

# The supplicant that serves the device: the child of the agent.
supplicant_pid() { for p in $(pidof wpa_supplicant); do awk -v a="$agent_pid" -v p="$p" '/^PPid:/ { if ($2 == a) print p }' "/proc/$p/status"; done; }
kill_supplicant() {
  killed=$(supplicant_pid)
  [ -n "$killed" ] || fail "the device has no wpa_supplicant"
  mark_now
  kill -9 "$killed"
}
open_in_air() { in_ns dev iw dev muster-ap info | grep -q 'ssid'; }

kill_supplicant
expect 30 "wpa_supplicant killed while the device is open: open again" setup_opened
wait_for 5 "the access point on the air" open_in_air
echo "CASE|wpa_supplicant killed while open|open|0|$took|30"

# Somebody who comes now can set it up. The portal is off: the device answers to its own name only.
place phy2 phone wlphone
new_token
phone_joins
look_up() { in_ns phone nslookup "$1" 192.168.4.1 2> /dev/null | grep -q 'Address.*192.168.4.1$'; }
wait_for 10 "the device's name service" look_up blynk.setup
look_up anything.test && fail "without the portal the device answers to foreign names"
pass "without the portal a foreign name is not the device's"
mark_now
send_settings HomeNet "correct horse"
expect 60 "the device that was set up after that is online" '"step":"online"'
wait_for 60 "the device to close its own network" told setup_closed
grep -q '^nameserver 192.168.77.1$' $resolv || fail "the network's name server is not used: $(cat $resolv)"

kill_supplicant
expect 10 "wpa_supplicant killed while online: noticed" '"step":"network_lost"'
expect 30 "wpa_supplicant killed while online: online again" '"step":"online"'
echo "CASE|wpa_supplicant killed while online|online|0|$took|30"

# Frozen, it is there and says nothing.
stopped=$(supplicant_pid)
mark_now
kill -STOP "$stopped"
expect 45 "wpa_supplicant frozen while online: online again" '"step":"online"'
echo "CASE|wpa_supplicant frozen while online|online|0|$took|45"
[ "$(supplicant_pid)" != "$stopped" ] || fail "the frozen one is still there"

# The agent killed: its name servers stay until the next one puts the machine's own back.
kill -9 "$agent_pid"; wait "$agent_pid" 2> /dev/null
grep -q '^nameserver 192.168.77.1$' $resolv || fail "somebody else put the name servers back"
wait_for 10 "the killed agent's wpa_supplicant to end" eval '! pidof wpa_supplicant | grep -v "^$(cat /run/supplicant_wlphone.pid)$"'
agent_up --ca /tmp/cloud/tls/ca.crt
start=$(now)
expect 60 "started again after a kill, the device is online" '"step":"online"'
kill "$agent_pid"; wait "$agent_pid" 2> /dev/null
sha256sum -c -s /tmp/resolv.sum || fail "the machine's name servers are not as they were: $(cat $resolv)"
pass "the machine's name servers are as they were before"
keep_logs
exit 0
