#!/bin/bash
# The steps of scripts/try-deb.sh inside of a bare Debian: /tmp/first.deb is the package, /tmp/later.deb a later release of it.
set -euo pipefail

step() { echo "ok: $*"; }
fail() {
  echo "not ok: $*" >&2
  exit 1
}
apt() { apt-get -y -qq "$@" </dev/null >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2 && return 1; }; }
sums() { find /backup /srv/tardis /var/lib/tardisd -type f -exec sha256sum {} + | sort; }

for program in node npm gcc g++ make; do
  ! command -v $program >/dev/null || fail "this machine has $program"
done
apt update
apt install /tmp/first.deb || fail 'the package cannot be installed'
for program in node npm gcc g++ make; do
  ! command -v $program >/dev/null || fail "the package brought $program"
done
[ "$(stat -c '%U %G %a' /srv/tardis)" = 'tardis tardis 750' ] || fail 'the store has no directory of its own'
[ "$(stat -c '%U %a' /etc/tardis/tardis.cfg)" = 'root 600' ] || fail 'others can read tardis.cfg'
step "installed: $(tardis --version)"

mkdir -p /root/data/more
echo content >/root/data/file
ln /root/data/file /root/data/more/link
head -c 3000000 /dev/urandom >/root/data/large
tardis -D /backup -C me --local --create --json /root/data | grep -q '"set":1' || fail 'no first backup'
step 'first backup, to a directory'

# The server is run as systemd does: as the unit's user, with the directories that the unit names.
unit=/usr/lib/systemd/system/tardisd.service
command=$(sed -n 's/^ExecStart=//p' $unit)
user=$(sed -n 's/^User=//p' $unit)
install -d -o "$user" -g "$user" -m 750 /var/log/tardisd /var/lib/tardisd
(umask 077 && echo 'four quiet otters juggle turnips' >/root/password)
install -m 600 -o "$user" /root/password /tmp/password
as_user="setpriv --reuid=$user --regid=$user --init-groups env HOME=/srv/tardis"
# shellcheck disable=SC2086 # Words are meant to be split.
$as_user sonic create -D /srv/tardis -C laptop -F /tmp/password >/dev/null
# shellcheck disable=SC2086 # Words are meant to be split.
$as_user $command >/tmp/server.log 2>&1 &
server=$!
tardis --server localhost -C laptop -F /root/password --reconnect 60 --json /root/data | grep -q '"set":1' ||
  { cat /tmp/server.log >&2 && fail 'no backup to the server'; }
step 'server by its unit, and a backup to it'
kill -TERM $server
wait $server || fail "the server ended with status $?"

sums >/tmp/sums
echo '# changed by its owner' >>/etc/tardis/tardisd.cfg
apt install /tmp/later.deb || fail 'no upgrade'
grep -q '^# changed by its owner' /etc/tardis/tardisd.cfg || fail 'the upgrade has replaced a changed configuration'
sums | cmp -s - /tmp/sums || fail 'the upgrade has changed a store'
tardis -D /backup -C me --local --json /root/data | grep -q '"set":2' || fail 'no backup after the upgrade'
sums >/tmp/sums
step "upgraded: $(tardis --version)"

! apt install --allow-downgrades /tmp/first.deb 2>/tmp/refusal || fail 'a downgrade was not refused'
grep -q "writes catalogs of version 99" /tmp/refusal || fail 'the refusal does not say why'
tardis --version | grep -q 99.0.0 || fail 'a refused downgrade has left another program'
step 'a downgrade was refused'
TARDIS_DOWNGRADE=yes apt install --allow-downgrades /tmp/first.deb || fail 'no downgrade by force'
step 'a downgrade that is asked for'

apt remove tardis
! command -v tardis >/dev/null || fail 'a removed program is there'
[ -e /etc/tardis/tardisd.cfg ] || fail 'the removal has taken the configuration'
sums | cmp -s - /tmp/sums || fail 'the removal has changed a store'
step 'removed'
apt purge tardis
[ ! -e /etc/tardis/tardisd.cfg ] && [ ! -e /etc/init.d/tardisd ] && [ ! -e /etc/init.d/tardisremote ] || fail 'the purge has left configuration'
[ ! -e /var/log/tardisd ] || fail 'the purge has left logs'
[ ! -e /usr/lib/tardis ] || fail 'the purge has left the program'
sums | cmp -s - /tmp/sums || fail 'the purge has changed a store'
getent passwd tardis >/dev/null || fail 'the purge has taken the user to whom stores belong'
step 'purged, and the stores are as they were'

apt install /tmp/first.deb
mkdir /tmp/back
regenerate -D /backup -C me -o /tmp/back /root/data
diff -r /root/data /tmp/back/data || fail 'another tree came back'
step 'installed again, and restored'
