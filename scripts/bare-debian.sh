#!/bin/bash
# Runs a command in a fresh clone of the current commit, inside a bare Debian: apt, Node.js and npm, and nothing else that this machine
# has. So a test that needs a program which nobody installs fails here first, not on a newcomer's machine.
#
#   sh scripts/bare-debian.sh 'npm run quickstart && npm test'
#
# Needs root, apt and the network. Exits with 75, before the command is run, where no bare Debian can be made. KEEP=1 leaves it behind.
set -euo pipefail

readonly NODE=usr/lib/node_modules
command=${1:?usage: bare-debian.sh COMMAND}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/need-debian.sh

# The script runs in a mount namespace of its own, so that everything mounted below is unmounted when its last process
# ends.
if [ "${BARE_DEBIAN_INSIDE-}" != yes ]; then
  unshare --mount --propagation private true 2>/dev/null || cannot 'nothing can be mounted here'
  exec env BARE_DEBIAN_INSIDE=yes unshare --mount --propagation private bash scripts/bare-debian.sh "$command"
fi
unset BARE_DEBIAN_INSIDE

root=$(mktemp -d "${TMPDIR:-/var/tmp}/bare-debian.XXXXXX")
leave() {
  umount -R -l "$root" 2>/dev/null || true
  if [ -n "${KEEP-}" ]; then
    echo "bare-debian: left $root" >&2
  else
    rm -rf --one-file-system "$root"
  fi
}
trap leave EXIT

sources "$machine" | mmdebstrap --quiet --variant=apt --include=ca-certificates "$machine" "$root" - ||
  cannot 'mmdebstrap has failed'

chmod 755 "$root"
# Copies Node.js and npm of this machine, and the files by which it reaches the network.
mkdir -p "$root/$NODE" "$root/usr/include" "$root/work"
cp "$(readlink -f "$(command -v node)")" "$root/usr/bin/node"
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
cp -a "$npm" "$root/$NODE/npm"
ln -s "../lib/node_modules/npm/bin/npm-cli.js" "$root/usr/bin/npm"
ln -s "../lib/node_modules/npm/bin/npx-cli.js" "$root/usr/bin/npx"
headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node
[ ! -d "$headers" ] || cp -a "$headers" "$root/usr/include/"
for file in /etc/npmrc "$HOME/.npmrc" /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || install -D -m 644 "$file" "$root${file/#$HOME//root}"
done
cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
git clone -q . "$root/work/project"

mount --bind "$root" "$root" # a mount of its own: else nothing inside can unshare its mounts
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --make-rslave "$root/sys"

kept=()
while IFS= read -r -d '' variable; do
  case $variable in
  npm_config_* | NPM_CONFIG_* | *_proxy=* | NODE_EXTRA_CA_CERTS=* | CI=* | TEST_* | TARDIS_*) kept+=("$variable") ;;
  esac
done < <(env -0)
env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 "${kept[@]}" \
  chroot "$root" /bin/bash -c "cd /work/project && $command"
