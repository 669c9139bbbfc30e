#!/bin/bash
# Tries a Debian package in a bare Debian that has apt and nothing else, no Node.js and no compiler: installs it, makes a first backup, runs
# the server by its unit's command line, upgrades, is refused a downgrade, removes and purges. Prints a line for each step.
#
#   bash scripts/try-deb.sh dist/packages/tardis_*.deb
#
# Needs root, apt and the network. Exits with 75 where no bare Debian can be made. SUITE names another release than this machine's.
set -euo pipefail

deb=$(realpath "${1:?usage: try-deb.sh PACKAGE.deb}")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$here/need-debian.sh"
suite=${SUITE:-$machine}

# The script runs in a mount namespace of its own, so that everything mounted below is unmounted when its last process
# ends.
if [ "${TRY_DEB_INSIDE-}" != yes ]; then
  unshare --mount --propagation private true 2>/dev/null || cannot 'nothing can be mounted here'
  exec env TRY_DEB_INSIDE=yes unshare --mount --propagation private bash "$0" "$@"
fi

root=$(mktemp -d "${TMPDIR:-/var/tmp}/try-deb.XXXXXX")
leave() {
  umount -R -l "$root" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap leave EXIT

sources "$suite" | mmdebstrap --quiet --variant=apt "$suite" "$root" - || cannot 'mmdebstrap has failed'
chmod 755 "$root"
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
done
cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
# dpkg need not sync, since nothing here must outlive a power cut.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/no-sync"

# Makes a later release: the same program with newer catalogs.
later=$root/tmp/later
dpkg-deb -R "$deb" "$later"
sed -i 's/^Version: .*/Version: 99.0.0-1/' "$later/DEBIAN/control"
sed -i 's/"version": ".*"/"version": "99.0.0"/' "$later/usr/lib/tardis/package.json"
echo 99 >"$later/usr/lib/tardis/catalog-version"
dpkg-deb --root-owner-group -Znone -b "$later" "$root/tmp/later.deb" >/dev/null
rm -rf "$later"
cp "$deb" "$root/tmp/first.deb"
cp "$here/try-deb-steps.sh" "$root/tmp/steps.sh"

mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"

kept=()
while IFS= read -r -d '' variable; do
  case $variable in *_proxy=*) kept+=("$variable") ;; esac
done < <(env -0)
env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${kept[@]}" \
  chroot "$root" /bin/bash /tmp/steps.sh
