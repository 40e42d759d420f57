# SPDX-License-Identifier: Apache-2.0
# One device's first day with the project's own programs: a wrong password, then online in the cloud.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
set_up wrong HomeNet "wrong horse"
expect_failure "wrong password" join_network 722 joining 10
set_up right HomeNet "correct horse"
expect_online "WPA2" 15
cat /tmp/right.log
keep_logs
exit 0
