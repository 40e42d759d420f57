# SPDX-License-Identifier: Apache-2.0
# Home networks of every kind, each joined by a device that was told of it by `muster provision`.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up

try() {  # try WHAT SSID PASSWORD CHANNEL LINE_OF_HOSTAPD...
  label=$1 name=$2 word=$3 channel=$4; shift 4
  home_up "$(hex "$name")" "$channel" "$@"
  dhcp_up
  set_up "net_$channel" "$name" "$word"
  expect_online "$label" 20
  dhcp_down
  home_down
  device_reset
}
try "WPA2, on the channel of the set-up" "HomeNet" "correct horse" 1 "$(wpa2 'correct horse')"
try "WPA2, on another channel" "HomeNet" "correct horse" 11 "$(wpa2 'correct horse')"
try "WPA3" "Home 3" "correct horse" 6 "$(wpa3 'correct horse')"
try "hidden" "Secret" "correct horse" 6 "$(wpa2 'correct horse')" ignore_broadcast_ssid=1
try "32 bytes of name" "12345678901234567890123456789012" "correct horse" 6 "$(wpa2 'correct horse')"
try "name in UTF-8" "Zuhause ☕ Füße" "correct horse" 6 "$(wpa2 'correct horse')"
try "quotes in name and password" "Bob's \"Net\" \\1" 'pass"word\ '"'x" 6 "$(wpa2 'pass"word\ '"'x")"
raw=0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef
try "key of 64 digits" "RawKey" "$raw" 6 "wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_psk=$raw"

# An open network: nobody is asked for a password, so there is none on stdin either.
home_up "$(hex Cafe)" 6
dhcp_up
provision open --ssid Cafe < /dev/null
expect_online "open network" 20
keep_logs
exit 0
