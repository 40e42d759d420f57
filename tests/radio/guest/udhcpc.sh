#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sets the address that udhcpc was given.
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
/sbin/ip addr flush dev "$interface"
/sbin/ip addr add "$ip/$mask" dev "$interface"
[ -z "$router" ] || /sbin/ip route replace default via "$router" dev "$interface"
[ -z "$dns" ] || echo "nameserver ${dns%% *}" > /etc/resolv.conf
exit 0
