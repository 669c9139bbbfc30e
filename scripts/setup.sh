#!/bin/sh
# Makes a checkout ready to run and to test: `npm run setup`; `npm test` and `npm run quickstart`
# begin with it. Does only what is not done yet and says why; prints `ready` when all is there.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

say() { echo "setup: $*"; }
fail() {
  echo "setup: $*" >&2
  exit 1
}

if [ $# -gt 0 ]; then
  echo 'usage: npm run setup   (checks node, installs what is missing, builds what is out of date)' >&2
  exit 1
fi

# --- Node.js -----------------------------------------------------------------------------------
command -v node >/dev/null 2>&1 ||
  fail 'Node.js is not installed. Install Node.js 20 with npm, from your distribution or nodejs.org.'
command -v npm >/dev/null 2>&1 || fail 'npm is not installed. It comes with Node.js 20.'

# The range is that of package.json, which npm enforces too. Old syntax, so that an old node can tell.
# Prints what compiled packages depend on, and where this very node has its headers, if anywhere.
node_facts=$(node -e '
  var fs = require("fs"), path = require("path");
  var range = JSON.parse(fs.readFileSync("package.json", "utf8")).engines.node;
  var bounds = /^>=(\d+)\.(\d+)[.\d]* <(\d+)/.exec(range).map(Number);
  var have = process.versions.node.split(".").map(Number);
  var isOldEnough = have[0] < bounds[3];
  var isNewEnough = have[0] > bounds[1] || (have[0] === bounds[1] && have[1] >= bounds[2]);
  if (!isOldEnough || !isNewEnough) {
    console.error("setup: this needs Node.js " + range + ", but `node` is " + process.version +
      " (" + process.execPath + "). Put a fitting one first in PATH.");
    process.exit(1);
  }
  var prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  var hasHeaders = fs.existsSync(path.join(prefix, "include", "node", "node_api.h"));
  console.log(process.versions.modules + "-" + process.arch + " " + (hasHeaders ? prefix : ""));
') || exit 1
platform=${node_facts%% *}
node_prefix=${node_facts#* }
# With the headers at hand node-gyp need not download them.
if [ -n "$node_prefix" ]; then
  export npm_config_nodedir="$node_prefix"
fi

# --- One at a time -----------------------------------------------------------------------------
# Two runs in one checkout would remove packages and outputs from under each other.
mkdir -p dist
if command -v flock >/dev/null 2>&1; then
  exec 9>dist/.setup-lock
  flock -n 9 || {
    say 'waiting for another setup in this checkout to end'
    flock 9
  }
fi

# --- What is left to do? -----------------------------------------------------------------------
packages_stamp=node_modules/.tardis-setup
build_stamp=dist/.tardis-built
addon=native/build/Release/tardis_native.node
extension=native/build/Release/sqlite_disk.so # of SQLite, for tests
wanted_packages="$(cksum <package-lock.json) $platform"

is_newer_than() { # STAMP PATH...: is anything newer? A directory is when a name in it came or went.
  is_newer_stamp=$1
  shift
  [ -n "$(find "$@" \( -type d -o -name '*.ts' -o -name '*.json' -o -name '*.sql' -o -name '*.cc' \
    -o -name '*.h' -o -name '*.gyp' \) -newer "$is_newer_stamp" -print 2>/dev/null | head -n 1)" ]
}

# Packages that somebody installed with npm since the lock file changed are as good as ours.
are_installed_otherwise() {
  [ -n "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ] &&
    [ -e node_modules/typescript ] && [ -e node_modules/ava ] &&
    node -e 'new (require("better-sqlite3"))(":memory:"); require("zstd-napi")' 2>/dev/null
}

must_install=no
if [ "$(cat $packages_stamp 2>/dev/null)" != "$wanted_packages" ]; then
  if are_installed_otherwise; then
    echo "$wanted_packages" >$packages_stamp
  else
    must_install=yes
  fi
fi

must_build_addon=no
if [ ! -e $addon ] || is_newer_than $addon native/src native/binding.gyp ||
  [ ! -e $extension ] || is_newer_than $extension native/testing; then
  must_build_addon=yes
fi

must_build=no
if [ $must_install = yes ] || [ ! -e $build_stamp ] ||
  is_newer_than $build_stamp src test bench schema tsconfig.json; then
  must_build=yes
fi

# --- Programs of the system --------------------------------------------------------------------
lacking=''
lacks() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null 2>&1 || lacking="$lacking $2"
}
has_librsync() { # Without a compiler its header tells, which is where distributions put it.
  if command -v "${CXX:-g++}" >/dev/null 2>&1; then
    printf '#include <stdio.h>\n#include <librsync.h>\n' |
      ${CXX:-g++} -x c++ -fsyntax-only - >/dev/null 2>&1
  else
    [ -e /usr/include/librsync.h ]
  fi
}
if [ $must_install = yes ] || [ $must_build_addon = yes ]; then
  lacks python3 python3
  lacks make make
  lacks g++ g++
  has_librsync || lacking="$lacking librsync-dev"
fi
needed_to_build=$lacking
lacks rsync rsync
lacks rdiff rdiff
lacks git git
lacks setfattr attr
lacks setfacl acl

can_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  as_root=''
  [ "$(id -u)" = 0 ] && return 0
  as_root=sudo
  command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

install_lacking() {
  can_install || return 1
  say "installing$lacking with apt-get (python3, make and g++ compile the native parts, librsync makes"
  say 'deltas; rsync, rdiff and git are what tests compare restored files, deltas and exclude rules with; attr'
  say 'and acl give files of tests attributes and access lists)'
  # Lists of packages may be missing on a fresh machine; a source that fails need not be the one.
  $as_root apt-get update -qq </dev/null || say 'apt-get update failed; trying with the lists at hand'
  # shellcheck disable=SC2086 # Words are meant to be split.
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $lacking </dev/null
}

if [ -n "$lacking" ] && ! install_lacking; then
  advice="on Debian and Ubuntu, as root: apt-get install$lacking"
  [ -z "$needed_to_build" ] || fail "please install$lacking first; $advice"
  say "missing:$lacking; tests that compare with them will fail; $advice"
fi

# --- Packages of npm ---------------------------------------------------------------------------
if [ $must_install = yes ]; then
  if [ -e $packages_stamp ]; then
    say 'package-lock.json or Node.js changed: installing the npm packages anew (npm ci)'
  else
    say 'installing the npm packages (npm ci); compiling SQLite may take some minutes'
  fi
  rm -f $packages_stamp
  # Settings of the user must not leave out what building and testing needs.
  npm ci --include=dev --include=optional --ignore-scripts=false --no-audit --no-fund </dev/null ||
    fail 'npm ci failed; see above'
  echo "$wanted_packages" >$packages_stamp
fi

# --- The addon ---------------------------------------------------------------------------------
if [ ! -e $addon ] || is_newer_than $addon native/src native/binding.gyp ||
  [ ! -e $extension ] || is_newer_than $extension native/testing; then
  say 'building the native addon (system calls that Node.js lacks)'
  touch dist/.addon-began
  node scripts/build-native.mjs </dev/null || fail 'the addon could not be built; see above'
  # make may find nothing to do for a newer source; it must not be asked again each time.
  touch -r dist/.addon-began $addon $extension
fi

# --- TypeScript --------------------------------------------------------------------------------
if [ $must_build = yes ]; then
  say 'compiling the TypeScript'
  # With its notes, the compiler would not write again what it wrote once and somebody removed.
  [ -e $build_stamp ] || rm -f dist/.tsbuildinfo
  # The time before: what changes while the compiler runs has to be compiled the next time.
  touch $build_stamp.new
  rm -f $build_stamp
  npm run --silent build </dev/null || fail 'the TypeScript does not compile; see above'
  # The output of a removed source must not run any more, least of all a test.
  for folder in dist/src dist/test dist/bench; do
    [ ! -d $folder ] || find $folder -name '*.js'
  done | while read -r output; do
    source=${output#dist/}
    [ -e "${source%.js}.ts" ] || rm -f "$output" "$output.map"
  done
  mv $build_stamp.new $build_stamp
fi

echo ready
