# SPDX-License-Identifier: Apache-2.0
# How long it takes from `config` sent to online in the cloud: several activations in a row, and their median.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
rounds=9 limit=12
# When an event came, in milliseconds: event_at STEP STATE
event_at() { sed -nE "/\"step\":\"$1\",\"state\":\"$2\"/s/.*\"atMs\":([0-9]+).*/\1/p" "$shown" | head -1; }
: > /tmp/times
for round in $(seq $rounds); do
  set_up "round_$round" HomeNet "correct horse" --json
  [ "$status" = 0 ] || fail "activation $round: $(cat "$shown")"
  took=$(awk -v a="$(event_at send_settings begun)" -v b="$(event_at reach_cloud done)" 'BEGIN { printf "%.2f", (b - a) / 1000 }')
  echo "$took" >> /tmp/times
  pass "activation $round: online $took s after config was sent"
  wait_for 20 "the device keeps its settings" told '"step":"stored"'
  device_reset
done
median=$(sort -n /tmp/times | sed -n "$(((rounds + 1) / 2))p")
note "config sent to online, $rounds activations: $(sort -n /tmp/times | tr '\n' ' ')s; median $median s, limit $limit s"
between 0 "$median" $limit "median of $rounds activations: online"
echo "CASE|config sent to online, median of $rounds|online|0|$median|$limit"
keep_logs
exit 0
