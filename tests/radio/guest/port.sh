# SPDX-License-Identifier: Apache-2.0
# The agent's Wi-Fi port alone, by hand (muster_radio_probe), against a real router and a real phone. Every failure that the port tells.
. /radio/lib.sh
place phy0 home wlhome
place phy1 dev wldev
place phy2 phone wlphone

mkfifo /tmp/orders
ip netns exec dev muster_radio_probe wldev < /tmp/orders > /tmp/probe.log 2>&1 &
exec 7> /tmp/orders
order() { echo "$*" >&7; }
told() { tail -n "+$mark" /tmp/probe.log | grep -q "$1"; }
mark_now() { mark=$(($(wc -l < /tmp/probe.log) + 1)); start=$(now); }
# expect SECONDS WHAT PATTERN: from the last mark_now on, by the time that the probe tells
expect() {
  wait_for "$(($1 * 2))" "$2" told "$3"
  between "$start" "$(tail -n "+$mark" /tmp/probe.log | sed -n "/$3/{s/ .*//p;q}")" "$1" "$2"
}
join() { mark_now; order join "$(hex "$1")" "$(hex "$2")"; }

home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
pass "the home network is there"

mark_now; order open "$(hex 'Blynk Lamp-0W8N')"
expect 10 "the device's access point opens" " opened"
station_up phone wlphone
station_join phone wlphone "Blynk Lamp-0W8N"
wait_for 20 "the phone on the access point" joined phone wlphone
in_ns phone udhcpc -q -n -f -t 8 -T 1 -i wlphone -s /radio/udhcpc.sh > /tmp/udhcpc.log 2>&1 || fail "the phone gets no address"
in_ns phone ping -c 1 -W 3 192.168.4.1 > /dev/null || fail "the phone cannot reach the device"
told "visitors 1" || fail "the device does not see the phone"
pass "the phone is on the device's network"

mark_now; order scan
expect 25 "the device looks around while the phone is there" " scanned "
told "seen $(hex HomeNet) channel 6 security 3" || fail "the home network was not seen"

join HomeNet "wrong horse"
expect 10 "a wrong password is told" "join_failed wrong_password"
in_ns phone ping -c 1 -W 5 192.168.4.1 > /dev/null || fail "the phone has lost the device"
join Nowhere "whatever1"
expect 30 "a missing network is told" "join_failed not_found"
join HomeNet "correct horse"
expect 12 "the network is joined" "joined 192.168.77"
in_ns dev ping -c 1 -W 3 192.168.77.1 > /dev/null || fail "the device cannot reach the router"
grep -q 'nameserver 192.168.77.1' /etc/netns/dev/resolv.conf || fail "no name server"
wait_for 15 "the phone on the device's new channel" in_ns phone ping -c 1 -W 1 192.168.4.1
pass "the phone is still on the device's network, on the home network's channel"

dhcp_down
join HomeNet "correct horse"
expect 20 "a network without addresses is told" "join_failed no_address"
dhcp_up
join HomeNet "correct horse"
expect 12 "the network is joined again" "joined 192.168.77"
mark_now; home_down
expect 20 "a network that goes away is told" " lost"

# Names and keys of all kinds, on other channels.
try() { # try WHAT SSID PASSWORD CHANNEL LINE...
  label=$1 name=$2 password=$3 channel=$4; shift 4
  home_up "$(hex "$name")" "$channel" "$@"
  join "$name" "$password"
  expect 20 "$label" "joined 192.168.77.* channel $channel"
  mark_now; order leave; home_down
}
try "WPA3" "Home 3" "correct horse" 11 "$(wpa3 'correct horse')"
try "32 bytes of name" "12345678901234567890123456789012" "correct horse" 6 "$(wpa2 'correct horse')"
try "a name in UTF-8" "Zuhause ☕ Füße" "correct horse" 1 "$(wpa2 'correct horse')"
try "quotes in name and password" "Bob's \"Net\" \\1" 'pass"word\ '"'x" 6 "$(wpa2 'pass"word\ '"'x")"
raw=0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef
try "a key of 64 digits" "RawKey" "$raw" 6 "wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_psk=$raw"
try "an open network" "Cafe" "" 6
try "a hidden network" "Secret" "correct horse" 11 "$(wpa2 'correct horse')" ignore_broadcast_ssid=1
home_up "$(hex 'Home 3')" 6 "$(wpa3 'correct horse')"
join "Home 3" "wrong horse"
expect 15 "a wrong password of WPA3 is told" "join_failed wrong_password"
mark_now; order quit
wait_for 5 "the probe's end" sh -c '! pidof muster_radio_probe && ! pidof -s wpa_supplicant | grep -v "$(cat /run/supplicant_wlphone.pid)"'
[ ! -s /etc/netns/dev/resolv.conf ] || fail "the name server was left behind"
in_ns dev iw dev | grep -q muster-ap && fail "the access point's interface was left behind"
pass "nothing is left behind"
keep_logs
exit 0
