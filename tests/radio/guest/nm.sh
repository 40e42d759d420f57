# SPDX-License-Identifier: Apache-2.0
# A machine whose Wi-Fi NetworkManager has, as on Raspberry Pi OS: the real NetworkManager with udev, D-Bus and its wpa_supplicant, in the
# device's namespace. Set-up by a phone, failures on the way, online in the cloud; what the machine's owner had stored stays as it was.
. /radio/lib.sh
. /radio/cloud.sh
place phy0 home wlhome
place phy1 dev wldev
place phy2 phone wlphone
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up

# --- NetworkManager
nmcli() { in_ns dev nmcli --terse --colors no "$@"; }
cat > /tmp/bus.conf <<'X'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="*"/><allow receive_type="*"/></policy>
</busconfig>
X
# There is no polkit: the agent is root.
cat > /etc/NetworkManager/NetworkManager.conf <<'X'
[main]
plugins=keyfile
auth-polkit=false
rc-manager=symlink
X
# Names are looked up as NetworkManager says, through the link that Debian has; the file that place() gave this namespace would hide it.
mkdir -p /run/NetworkManager
: > /run/NetworkManager/resolv.conf
ln -sf /run/NetworkManager/resolv.conf /etc/resolv.conf
rm /etc/netns/dev/resolv.conf
mine=/etc/NetworkManager/system-connections/mine.nmconnection
mkdir -p "${mine%/*}"
cat > "$mine" <<'X'
[connection]
id=mine
uuid=4a3c5f0e-6d1b-4c53-9d5e-2f8f6f0d7a11
type=wifi

[wifi]
ssid=Elsewhere

[wifi-security]
key-mgmt=wpa-psk
psk=the owner's own
X
chmod 600 "$mine"
sha256sum "$mine" > /tmp/mine.sum
# udevd and NetworkManager want to see the devices of this namespace alone: ip mounts it a /sys of its own.
in_ns dev sh -c '/lib/systemd/systemd-udevd --daemon 2> /dev/null; udevadm trigger --action=add --subsystem-match=net; udevadm settle -t 20'
in_ns dev dbus-daemon --config-file=/tmp/bus.conf --fork --nopidfile
/sbin/ip netns exec dev wpa_supplicant -u -s -O /run/wpa_supplicant -t -f /tmp/supplicant.log &
wait_for 20 "wpa_supplicant" in_ns dev dbus-send --system --print-reply --dest=fi.w1.wpa_supplicant1 / org.freedesktop.DBus.Peer.Ping
/sbin/ip netns exec dev NetworkManager --debug > /tmp/nm.log 2>&1 &
wait_for 40 "NetworkManager to have the card" eval 'nmcli -f DEVICE,STATE device | grep -q "^wldev:disconnected"'
pass "NetworkManager $(NetworkManager --version) has the card"

cloud_up
pass "the cloud is up"
nm_agent_up() {
  /sbin/ip netns exec dev muster-agent --store /tmp/device --template "$template" --template-name Lamp --radio nm:wldev --json --ca /tmp/cloud/tls/ca.crt \
    >> /tmp/agent.log 2>> /tmp/agent-errors.log &
  agent_pid=$!
}
# After each change NetworkManager looks around three times in a row. That takes 8 s each in an emulated machine, and all the while the one radio
# is on other channels: the phone has to be patient.
reach() { wait_for 90 "the phone to reach the device" eval 'in_ns phone curl -s -m 6 http://192.168.4.1/board_info.json | grep -q "$template"'; }
# phone_is_told CODE
phone_is_told() { reach; [ "$(last_error)" = "$1" ] || fail "the phone is not told $1: $(last_error)"; }
# configure SSID PASSWORD
configure() { reach; mark_now; send_settings "$@"; }

: > /tmp/agent.log
mark_now
nm_agent_up
expect 60 "the device is open for set-up" setup_opened
phone_joins
reach
get http://192.168.4.1/wifi_scan.json > /tmp/scan.log
grep -q '"ssid":"HomeNet".*"sec":"WPA2","ch":6' /tmp/scan.log || fail "the device does not see the home: $(cat /tmp/scan.log)"
in_ns phone nslookup anything.test 192.168.4.1 2> /dev/null | grep -q 'Address.*192.168.4.1$' || fail "the device's name service does not answer"
pass "the phone talks to the device"

new_token
configure HomeNet "wrong horse"
expect 20 "WPA2: a wrong password is known" '"code":722'
phone_is_told 722
pass "the phone, still there, is told 722"
configure Nowhere "correct horse"
expect 40 "a missing network is known" '"code":720'
phone_is_told 720
dhcp_down
configure HomeNet "correct horse"
expect 40 "a network without addresses is known" '"code":723'
dhcp_up
configure HomeNet "correct horse"
wait_for 60 "the cloud to see the device" eval '[ "$(session_state)" = ACTIVE ] || [ "$(session_state)" = DONE ]'
since "$start" 30 "WPA2: online in the cloud"
expect 60 "the device has stored its settings" '"step":"stored"'
wait_for 90 "the device to close its own network" told setup_closed
wait_for 10 "the access point's interface to go" eval '! in_ns dev iw dev | grep -q muster-ap'
pass "the device's own network is closed"

# The network goes away, and comes back.
mark_now; home_down
expect 60 "a network that goes away is noticed" '"step":"network_lost"'
home_up "$(hex HomeNet)" 1 "$(wpa2 'correct horse')"
mark_now
expect 120 "the device is back when the network is, on another channel" '"step":"online"'

# Forgotten, and set up again on WPA3, with a name that hides and is not plain.
mark_now; kill -USR2 "$agent_pid"
expect 60 "the device forgets its settings and opens" setup_opened
home_down
home_up "$(hex 'Zuhause ☕ "3"')" 11 "$(wpa3 'correct horse')" ignore_broadcast_ssid=1
phone_joins
new_token
configure 'Zuhause ☕ "3"' "wrong horse"
expect 60 "WPA3: a wrong password is known" '"code":722'
configure 'Zuhause ☕ "3"' "correct horse"
wait_for 60 "the cloud to see the device" eval '[ "$(session_state)" = ACTIVE ] || [ "$(session_state)" = DONE ]'
since "$start" 40 "WPA3, hidden, quotes and UTF-8 in the name: online in the cloud"

# Restarted, it is online with what it has.
mark_now
kill "$agent_pid"; wait "$agent_pid" 2> /dev/null
# They end with the agent's connection to the bus, a moment after the agent.
wait_for 10 "the agent's connections to go" eval '! nmcli -f NAME,TYPE connection | grep -v -e "^mine:" -e ":loopback$"'
pass "no connection is left behind"
nm_agent_up
expect 60 "restarted, the device is online" '"step":"online"'
kill -9 "$agent_pid"; wait "$agent_pid" 2> /dev/null
wait_for 10 "NetworkManager to end what was the agent's" eval '! nmcli -f NAME connection show --active | grep -q Muster'
sha256sum -c -s /tmp/mine.sum || fail "the owner's connection was changed"
nmcli -f NAME connection | grep -q '^mine$' || fail "the owner's connection is gone"
pass "what the owner had stored is as it was"
dmesg | grep segfault && fail "a program crashed"
keep_logs
exit 0
