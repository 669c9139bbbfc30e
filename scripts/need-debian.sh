# Sourced by the scripts that make a bare Debian: what they need of this machine, and where its packages come from. Ends the script with
# 75, before anything is made, where no bare Debian can be made. Sets `machine`, the release of this machine.

readonly CANNOT=75 # EX_TEMPFAIL of sysexits.h

cannot() {
  echo "$(basename "$0" .sh): $*" >&2
  exit $CANNOT
}

[ "$(id -u)" = 0 ] || cannot 'only root can make a bare Debian'
command -v apt-get >/dev/null || cannot 'this machine has no apt'
# shellcheck disable=SC1091 # It is of the machine.
machine=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
[ -n "$machine" ] || cannot 'this machine does not say which release it is'
if ! command -v mmdebstrap >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; } </dev/null >/dev/null 2>&1 ||
    cannot 'mmdebstrap cannot be installed'
fi

# Prints the package sources of this machine for its release, changed to the wanted release (SUITE).
sources() { # SUITE
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -r "$file" ] || ! grep -qE "(^Suites:| )[ ]*$machine( |$|-)" "$file" || { sed "s/\b$machine\b/$1/g" "$file" && echo; }
  done
}
