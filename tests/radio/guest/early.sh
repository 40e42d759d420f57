# SPDX-License-Identifier: Apache-2.0
# The phone leaves the device's own network as soon as the settings are sent; and a device that has a home keeps it when a new one fails.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up

# set_up_and_vanish NAME PASSWORD: killed once the device has said yes, so that not even its radio is put back in order.
set_up_and_vanish() {
  set_up_beside "$1" HomeNet "$2"
  wait_for 60 "the settings to be sent" grep -q 'ok      send_settings' "$shown"
  kill -9 "$set_up_pid"
  wait "$set_up_pid" 2> /dev/null
}
set_up_and_vanish gone_wrong "wrong horse"
wait_for 20 "AP left early: the device goes on and fails" told '"step":"gave_up".*"code":722'
wait_for 60 "the device open again" device_is_open
set_up_and_vanish gone_right "correct horse"
grep -q 'its last try failed with 722' "$shown" || fail "the next one is not told of the failure: $(cat "$shown")"
pass "AP left early: whoever comes next is told 722"
wait_for 30 "AP left early: the device goes on and is online" told '"step":"stored"'
echo "CASE|AP left early|online|0|$(minus "$(agent_at stored)" "$(agent_at settings_taken)")|20"

# A new network that does not work: back home within 60 s.
device=$(api GET organization/devices | sed -nE 's/.*"content":\[\{"id":([0-9]+).*/\1/p')
[ -n "$device" ] || fail "the cloud has no device: $(api GET organization/devices)"
set_up moved HomeNet "wrong horse" --reconfigure "$device"
[ "$status" != 0 ] || fail "a wrong password was taken"
grep -q '(join_network, code 722)' "$shown" || fail "another failure: $(cat "$shown")"
wait_for 60 "the device on its old network" eval 'tail -n "+$mark" /tmp/agent.log | sed -n "/gave_up/,\$p" | grep -q "\"step\":\"online\""'
pass "a reconfiguration with a wrong password fails"
between "$(agent_at gave_up)" "$(tail -n "+$mark" /tmp/agent.log | sed -n '/gave_up/,$p' | sed -nE '/"step":"online"/s/.*"t_ms":([0-9]+).*/\1/p' | head -1 | awk '{ print $1 / 1000 }')" 60 "a device that has a home is back on it"
keep_logs
exit 0
