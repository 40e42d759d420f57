# SPDX-License-Identifier: Apache-2.0
# Helpers of the guest's scenarios (busybox sh, sourced). Times are seconds of the guest's clock.

ip() { /sbin/ip "$@"; }  # The shell would prefer busybox's ip, which knows no namespaces.
now() { cut -d' ' -f1 /proc/uptime; }
pass() { echo "PASS $* ($(now) s)"; }
note() { echo "NOTE $*"; }
# Ends the scenario; the logs go to the host.
fail() { echo "FAIL $* ($(now) s)"; keep_logs; exit 1; }
keep_logs() { cp /tmp/*.log /tmp/*.conf /mnt/share/ 2> /dev/null; return 0; }
# How many times its limit everything may take: beside other work an emulated machine gets little of the processor.
patience=$(sed -n 's/.*patience=\([0-9][0-9]*\).*/\1/p' /proc/cmdline)
patience=${patience:-1}
# since START LIMIT WHAT...: passes when at most LIMIT seconds went by. between START END LIMIT WHAT...: the same of two times.
since() { from=$1; shift; between "$from" "$(now)" "$@"; }
between() {
  took=$(awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b - a }')
  limit=$(($3 * patience)); shift 3
  awk -v t="$took" -v l="$limit" 'BEGIN { exit !(t <= l) }' || fail "$* took $took s, at most $limit s are allowed"
  pass "$* after $took s"
}
# wait_for SECONDS WHAT COMMAND...: asks four times a second (more would keep the emulated processor from what is waited for).
wait_for() {
  tries=$(($1 * 4 * patience)); what=$2; shift 2
  until "$@" > /dev/null 2>&1; do
    [ $tries -gt 0 ] || fail "waited in vain: $what"
    tries=$((tries - 1))
    usleep 250000
  done
}
in_ns() { ns=$1; shift; ip netns exec "$ns" "$@"; }

# place PHY NAMESPACE INTERFACE: gives a radio to a namespace of its own.
place() {
  ip netns add "$2" 2> /dev/null
  mkdir -p "/etc/netns/$2"
  [ -e "/etc/netns/$2/resolv.conf" ] || : > "/etc/netns/$2/resolv.conf"
  iw phy "$1" set netns name "$2" || fail "no radio $1"
  in_ns "$2" ip link set "$(in_ns "$2" iw dev | awk '$1 == "Interface" { print $2; exit }')" name "$3"
  in_ns "$2" ip link set lo up
}

# --- the home: router with DHCP and DNS. home_up SSID_AS_HEX CHANNEL [LINE_OF_HOSTAPD]...
home_up() {
  ssid=$1 channel=$2; shift 2
  {
    printf 'interface=wlhome\ndriver=nl80211\nctrl_interface=/run/hostapd\nhw_mode=g\nieee80211n=1\nchannel=%s\nssid2=%s\n' "$channel" "$ssid"
    for line in "$@"; do printf '%s\n' "$line"; done
  } > /tmp/home.conf
  in_ns home ip addr replace 192.168.77.1/24 dev wlhome
  in_ns home hostapd -B -P /run/hostapd.pid -f /tmp/hostapd.log /tmp/home.conf > /dev/null || fail "hostapd does not start"
  wait_for 10 "the home network" grep -q AP-ENABLED /tmp/hostapd.log
}
home_down() {
  kill "$(cat /run/hostapd.pid)"
  wait_for 5 "hostapd's end" test ! -e /run/hostapd/wlhome
  rm -f /tmp/hostapd.log
}
# dhcp_up [ARGUMENT]...: more arguments for dnsmasq. It knows the name of the cloud, see cloud.sh.
dhcp_up() {
  in_ns home dnsmasq -C /dev/null --pid-file=/run/dnsmasq.pid --interface=wlhome --bind-interfaces --no-ping --no-resolv --no-hosts \
    --address=/cloud.test/10.9.9.9 \
    --dhcp-range=192.168.77.50,192.168.77.99,1h --dhcp-leasefile=/run/leases --user=root --log-facility=/tmp/dnsmasq.log --log-dhcp "$@" ||
    fail "dnsmasq does not start"
}
dhcp_down() { kill "$(cat /run/dnsmasq.pid)"; usleep 200000; }
wpa2() { printf 'wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=%s\n' "$1"; }
wpa3() { printf 'wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password=%s\n' "$1"; }
hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

# --- a plain station on wpa_supplicant, to prove the bed itself
station_up() {  # station_up NAMESPACE INTERFACE
  printf 'ctrl_interface=/run/wpa_%s\n' "$2" > "/tmp/supplicant_$2.conf"
  in_ns "$1" wpa_supplicant -B -q -D nl80211 -i "$2" -c "/tmp/supplicant_$2.conf" -P "/run/supplicant_$2.pid" -f "/tmp/supplicant_$2.log" -t
  wait_for 10 "wpa_supplicant's control socket" test -S "/run/wpa_$2/$2"
  # Some events go to attached clients only, never to the log. The exact path, because another socket lies beside it.
  (sleep 3600 | in_ns "$1" wpa_cli -p "/run/wpa_$2" -i "$2" > "/tmp/events_$2.log" 2>&1) &
  usleep 200000
}
cli() { ns=$1 card=$2; shift 2; in_ns "$ns" wpa_cli -p "/run/wpa_$card" -i "$card" "$@"; }
event() { grep -q "$2" "/tmp/events_$1.log"; }
station_join() {  # station_join NAMESPACE INTERFACE SSID [PASSWORD]
  cli "$1" "$2" remove_network all > /dev/null
  number=$(cli "$1" "$2" add_network)
  cli "$1" "$2" set_network "$number" ssid "$(hex "$3")" > /dev/null
  if [ -n "$4" ]; then cli "$1" "$2" set_network "$number" psk "\"$4\"" > /dev/null
  else cli "$1" "$2" set_network "$number" key_mgmt NONE > /dev/null; fi
  # All bands take 10 s in an emulated machine.
  cli "$1" "$2" set_network "$number" scan_freq "2412 2437 2462" > /dev/null
  cli "$1" "$2" select_network "$number" > /dev/null
}
joined() { cli "$1" "$2" status | grep -q wpa_state=COMPLETED; }
