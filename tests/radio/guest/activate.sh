# SPDX-License-Identifier: Apache-2.0
# One device's first day with the project's own programs: set-up by a phone, a wrong password on the way, then online in the cloud.
. /radio/lib.sh
. /radio/cloud.sh
place phy0 home wlhome
place phy1 dev wldev
place phy2 phone wlphone
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
cloud_up
pass "the cloud is up at home"
agent_up --ca /tmp/cloud/tls/ca.crt
wait_for 60 "the device open for set-up" grep -q setup_opened /tmp/agent.log
pass "the device is open for set-up"
phone_joins
get http://192.168.4.1/board_info.json > /tmp/board.log
grep -q "$template" /tmp/board.log || fail "no info from the device: $(cat /tmp/board.log)"
get http://192.168.4.1/wifi_scan.json > /tmp/scan.log
grep -q HomeNet /tmp/scan.log || fail "the device does not see the home: $(cat /tmp/scan.log)"
pass "the phone talks to the device"
new_token
mark_now; send_settings HomeNet "wrong horse"
expect 15 "a wrong password is known" '"code":722'
[ "$(last_error)" = 722 ] || fail "the phone is not told: $(last_error)"
pass "the phone is told 722"
mark_now; send_settings HomeNet "correct horse"
wait_for 60 "the cloud to see the device" eval '[ "$(session_state)" = ACTIVE ] || [ "$(session_state)" = DONE ]'
since "$start" 12 "online in the cloud"
expect 60 "the device has stored its settings" '"step":"stored"'
grep -o '"t_ms":.*' /tmp/agent.log | tail -1
keep_logs
exit 0
