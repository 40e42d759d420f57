# SPDX-License-Identifier: Apache-2.0
# What goes wrong between the device's network and the cloud. The router's own address list takes the cloud's address: packets to it then end
# in the router, whose programs answer in the cloud's place, as a hotel's do.
. /radio/lib.sh
. /radio/cloud.sh
. /radio/provision.sh
world_up
home_up "$(hex HomeNet)" 6 "$(wpa2 'correct horse')"
dhcp_up
printf '[req]\ndistinguished_name=dn\n[dn]\n' > /tmp/openssl.cnf
openssl req -x509 -config /tmp/openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=cloud.test -days 30 \
  -keyout /tmp/foreign.key -out /tmp/foreign.crt > /tmp/openssl.log 2>&1 || fail "no certificate"

take_address() { in_ns home ip addr add "$cloud_address/32" dev lo; }
give_back() {
  for pid in $servers; do kill "$pid" 2> /dev/null; done
  servers=
  in_ns home ip addr del "$cloud_address/32" dev lo
}
serve_page() {
  in_ns home nc -ll -p 80 -e /bin/sh /radio/portal_page.sh > /tmp/page.log 2>&1 &
  servers="$servers $!"
}
serve_tls() {
  in_ns home openssl s_server -accept 9443 -cert /tmp/foreign.crt -key /tmp/foreign.key -quiet > /tmp/s_server.log 2>&1 < /dev/null &
  servers="$servers $!"
  usleep 500000
}

take_address
set_up closed HomeNet "correct horse"
expect_failure "cloud port closed" reach_cloud 702 dialing 15
serve_tls
set_up certificate HomeNet "correct horse"
expect_failure "bad TLS certificate" reach_cloud 711 dialing 15
serve_page
set_up portal HomeNet "correct horse"
expect_failure "captive portal, with TLS of its own" reach_cloud 712 dialing 15
give_back
take_address
serve_page
set_up portal_page HomeNet "correct horse"
expect_failure "captive portal, page only" reach_cloud 712 dialing 15
give_back

# A firewall that swallows everything: known after the dial's own time, 8 s, and the page's, 3 s.
in_ns home ip route add blackhole "$cloud_address/32"
set_up swallowed HomeNet "correct horse"
expect_failure "cloud port swallowed by a firewall" reach_cloud 702 dialing 26
in_ns home ip route del blackhole "$cloud_address/32"

dhcp_down
dhcp_up --dhcp-option=6,192.168.77.9
set_up dns HomeNet "correct horse"
expect_failure "DNS dead" reach_cloud 710 dialing 15
dhcp_down
dhcp_up
set_up right HomeNet "correct horse"
expect_online "after all of these" 20
keep_logs
exit 0
