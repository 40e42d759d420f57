#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the guest of the radio test bed: build/radio/vmlinux and build/radio/base.cpio. The first time it downloads about 100 MB of
# Debian packages; when nothing changed it takes no time. Root (or sudo) is needed for apt only.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
out=${MUSTER_RADIO_DIR:-$here/../../build/radio}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9> "$out/.lock"
flock 9

die() { printf 'radio: %s\n' "$*" >&2; exit 1; }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo > /dev/null; then sudo "$@"
  else die "this needs root or sudo: $*"
  fi
}
listed() { awk -v kind="$1" '$1 == kind { print $2 }' "$here/packages.txt"; }

[ "$(uname -m)" = x86_64 ] || die "the guest is built for x86-64 machines only"
stamp=$(cat "$here"/packages.txt "$here"/modules.txt "$here"/build.sh "$here"/guest/init | sha256sum | cut -c1-16)
[ ! -e "$out/built-$stamp" ] || exit 0
cd "$out"
rm -f built-*
export DEBIAN_FRONTEND=noninteractive
mapfile -t host < <(listed host)
mapfile -t guest < <(listed guest)

# --- packages
packages=$(sha256sum < "$here/packages.txt" | cut -c1-16)
if ! dpkg -s "${host[@]}" > /dev/null 2>&1 || [ ! -e "tree-$packages" ]; then
  as_root apt-get -q -o DPkg::Lock::Timeout=600 update > apt.log 2>&1 || { cat apt.log >&2; die "apt-get update failed"; }
fi
if ! dpkg -s "${host[@]}" > /dev/null 2>&1; then
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "${host[@]}" \
    >> apt.log 2>&1 || { tail -20 apt.log >&2; die "cannot install ${host[*]}"; }
fi
if [ ! -e "tree-$packages" ]; then
  rm -rf tree debs tree-*
  mkdir -p debs/partial tree
  # linux-image-amd64 only names the kernel's real package. Where that name is installed already, --reinstall would fetch it alone.
  kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dir::Cache::archives="$out/debs" \
    install --download-only --reinstall --no-install-recommends "${guest[@]}" "$kernel" >> apt.log 2>&1 || { tail -20 apt.log >&2; die "cannot download the guest's packages"; }
  for deb in debs/*.deb; do
    case $(basename "$deb") in
      systemd* | initramfs* | klibc* | linux-base*) ;;  # Came along as dependencies; the guest has an init of its own.
      *) dpkg -x "$deb" tree ;;
    esac
  done
  for deb in debs/*.deb; do dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"; done > versions.txt
  : > "tree-$packages"
  rm -f vmlinux
fi
release=$(ls tree/lib/modules | head -1)

# --- kernel: the packed one is opened here once, because unpacking in an emulated processor takes long; qemu starts an ELF image itself
if [ ! -e vmlinux ]; then
  python3 - "tree/boot/vmlinuz-$release" vmlinux.new <<'PY'
import lzma
import sys

packed = open(sys.argv[1], "rb").read()
start = packed.find(b"\xfd7zXZ\x00")
if start < 0:
    sys.exit("the kernel is not packed with xz")
open(sys.argv[2], "wb").write(lzma.LZMADecompressor().decompress(packed[start:]))
PY
  mv vmlinux.new vmlinux
fi

# --- image
rm -rf image
mkdir -p image/{bin,sbin,dev,etc,proc,sys,run,tmp,root,mnt/share,lib/modules,lib/firmware,lib64,lib/x86_64-linux-gnu,usr/bin,usr/sbin,usr/share,var/lib}
cp "$(command -v busybox)" image/bin/busybox
depmod -b tree "$release"
for set in base wifi ble; do
  # Each module once, after those that it needs.
  listed_modules=$(awk -v set="$set" '$1 == set { print $2 }' "$here/modules.txt")
  for module in $listed_modules; do
    modprobe -d "$out/tree" -S "$release" --show-depends "$module" || die "no module $module in kernel $release"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' > order
  while read -r file; do
    cp "$file" image/lib/modules/
    basename "$file"
  done < order > "image/lib/modules/$set"
done
cp tree/lib/firmware/regulatory.db-debian image/lib/firmware/regulatory.db
cp tree/lib/firmware/regulatory.db.p7s-debian image/lib/firmware/regulatory.db.p7s
"$here/copy_program.sh" "$out" image \
  tree/usr/sbin/hostapd:/usr/sbin tree/usr/sbin/hostapd_cli:/usr/sbin tree/sbin/wpa_supplicant:/sbin tree/sbin/wpa_cli:/sbin \
  tree/sbin/iw:/sbin tree/bin/ip:/sbin tree/usr/sbin/dnsmasq:/usr/sbin tree/usr/bin/curl:/usr/bin tree/usr/bin/openssl:/usr/bin \
  tree/usr/bin/tcpdump:/usr/bin tree/usr/bin/btvirt:/usr/bin tree/usr/bin/btmgmt:/usr/bin tree/usr/bin/dbus-daemon:/usr/bin \
  tree/usr/bin/dbus-send:/usr/bin tree/usr/bin/bluetoothctl:/usr/bin tree/usr/libexec/bluetooth/bluetoothd:/usr/sbin
# Names are looked up with these, which no program names as its library.
cp -L /lib/x86_64-linux-gnu/libnss_files.so.2 /lib/x86_64-linux-gnu/libnss_dns.so.2 /lib/x86_64-linux-gnu/libresolv.so.2 image/lib/x86_64-linux-gnu/
mkdir -p image/etc/dbus-1/system.d image/usr/share/dbus-1
cp tree/usr/share/dbus-1/system.d/*.conf tree/etc/dbus-1/system.d/*.conf image/etc/dbus-1/system.d/ 2> /dev/null || true
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nmessagebus:x:100:100::/:/bin/false\n' > image/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\nmessagebus:x:100:\nbluetooth:x:101:\nnetdev:x:102:\n' > image/etc/group
printf 'hosts: files dns\n' > image/etc/nsswitch.conf
printf '127.0.0.1 localhost\n' > image/etc/hosts
: > image/etc/resolv.conf  # A file to bind each namespace's own over.
cp "$here/guest/init" image/init
chmod +x image/init

# --- an archive of its own for the scenario that needs NetworkManager; the others need not unpack it
rm -rf nm-image
plugins=$(echo tree/usr/lib/x86_64-linux-gnu/NetworkManager/*)
"$here/copy_program.sh" "$out" nm-image tree/usr/sbin/NetworkManager:/usr/sbin tree/usr/bin/nmcli:/usr/bin tree/bin/udevadm:/bin \
  tree/usr/lib/NetworkManager/nm-dhcp-helper:/usr/lib/NetworkManager tree/usr/lib/NetworkManager/nm-daemon-helper:/usr/lib/NetworkManager \
  "$plugins/libnm-device-plugin-wifi.so:/usr/lib/x86_64-linux-gnu/NetworkManager/${plugins##*/}"
mkdir -p nm-image/lib/systemd nm-image/lib/udev/rules.d nm-image/var/lib/NetworkManager nm-image/etc/NetworkManager/system-connections
ln -s /bin/udevadm nm-image/lib/systemd/systemd-udevd
ln -s /run nm-image/var/run
cp tree/lib/udev/rules.d/{50-udev-default,75-net-description,80-net-setup-link,84-nm-drivers,85-nm-unmanaged}.rules nm-image/lib/udev/rules.d/
(cd nm-image && find . | LC_ALL=C sort | cpio -o -H newc --quiet) > nm.cpio

# Not packed: see the kernel above.
(cd image && find . | LC_ALL=C sort | cpio -o -H newc --quiet) > base.cpio
: > "built-$stamp"
printf 'radio: guest built: kernel %s, image %s MB\n' "$release" "$(($(stat -c %s base.cpio) >> 20))" >&2
