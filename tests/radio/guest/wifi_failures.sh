# SPDX-License-Identifier: Apache-2.0
# What goes wrong before the device is on its network: the code, how soon it is named, and that the device takes another try.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up

set_up wrong HomeNet "wrong horse"
expect_failure "wrong password" join_network 722 joining 10
set_up missing Nowhere "whatever1"
expect_failure "SSID unknown" join_network 720 joining 30
dhcp_down
set_up no_dhcp HomeNet "correct horse"
expect_failure "no DHCP" join_network 723 joining 15
home_down
home_up "$(hex Home3)" 11 "$(wpa3 'correct horse')"
dhcp_up
set_up wrong3 Home3 "wrong horse"
expect_failure "wrong password, WPA3" join_network 722 joining 10
set_up right Home3 "correct horse"
expect_online "after all of these" 20
keep_logs
exit 0
