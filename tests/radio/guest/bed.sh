# SPDX-License-Identifier: Apache-2.0
# The bed alone, with Debian's own station: a network is joined, a wrong password and a missing network are noticed.
. /radio/lib.sh
place phy0 home wlhome
place phy1 dev wldev
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
pass "the home network is there"
station_up dev wldev
start=$(now)
station_join dev wldev HomeNet "wrong horse"
wait_for 15 "the wrong password to be noticed" event wldev reason=WRONG_KEY
since "$start" 8 "a wrong password is noticed"
start=$(now)
station_join dev wldev Nowhere "whatever1"
wait_for 15 "the missing network to be noticed" event wldev CTRL-EVENT-NETWORK-NOT-FOUND
since "$start" 10 "a missing network is noticed"
start=$(now)
station_join dev wldev HomeNet "correct horse"
wait_for 20 "the right password to be taken" joined dev wldev
in_ns dev udhcpc -q -n -f -t 6 -T 1 -i wldev -s /bin/true > /tmp/udhcpc.log 2>&1 || fail "no address by DHCP"
since "$start" 12 "the network is joined and gives an address"
keep_logs
exit 0
