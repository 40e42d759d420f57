# SPDX-License-Identifier: Apache-2.0
# Set-up over Bluetooth LE: the device on the controller hci0, the phone on hci1, bluetoothd on both; the device's network is real Wi-Fi. A wrong
# password, then online in the cloud. Module sets: wifi,ble.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh

# Two controllers that hear each other. Bluetooth knows no network namespaces: bluetoothd runs outside of them, and all reach it over D-Bus.
bluetooth_up() {
  btvirt -L -l2 > /tmp/btvirt.log 2>&1 &
  wait_for 20 "two Bluetooth controllers" test -e /sys/class/bluetooth/hci1
  mkdir -p /var/lib/bluetooth
  [ -e /var/run ] || ln -s /run /var/run
  cat > /tmp/dbus.conf << 'END'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_destination="*"/> <allow eavesdrop="true"/>
  </policy>
</busconfig>
END
  dbus-daemon --config-file=/tmp/dbus.conf --fork || fail "no D-Bus"
  bluetoothd_up
}
bluetoothd_up() {
  bluetoothd -n >> /tmp/bluetoothd.log 2>&1 &
  bluetoothd_pid=$!
  for adapter in hci0 hci1; do
    wait_for 20 "bluetoothd with $adapter" dbus-send --system --print-reply --dest=org.bluez "/org/bluez/$adapter" \
      org.freedesktop.DBus.Properties.GetAll string:org.bluez.Adapter1
  done
}
provision() {  # As in provision.sh, over Bluetooth.
  shown=/tmp/$1.log
  shift
  mark_now
  in_ns phone muster provision --radio ble:hci1 --template "$template" "$@" > "$shown" 2>&1
  status=$?
}

bluetooth_up
pass "two Bluetooth controllers, and bluetoothd knows them"
place phy0 home wlhome
place phy1 dev wldev
ip netns add phone
cloud_up
phone_online
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
agent_up --ca /tmp/cloud/tls/ca.crt --ble hci0
wait_for 60 "the device open for set-up" told setup_opened
told '"event":"ble"' && fail "no Bluetooth on the device: $(cat /tmp/agent.log)"
pass "the device is open for set-up"
kill $bluetoothd_pid
wait_for 10 "the device to miss bluetoothd" told "bluetoothd has ended"
bluetoothd_up
pass "bluetoothd was started anew while the device is open"

set_up ble_wrong HomeNet "wrong horse"
expect_failure "Bluetooth, wrong password" join_network 722 joining 10
set_up ble_right HomeNet "correct horse"
expect_online "Bluetooth" 15
cat /tmp/ble_right.log
keep_logs
exit 0
