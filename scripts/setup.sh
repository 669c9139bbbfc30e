#!/bin/sh
# Makes a checkout ready to run and to test: `npm run setup`; `npm test` and `npm run quickstart`
# begin with it. Does only what is not done yet and prints why; prints `ready` when all is there.
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
  fail 'Node.js is not installed. Install Node.js with npm, from your distribution or nodejs.org.'
command -v npm >/dev/null 2>&1 || fail 'npm is not installed. It comes with Node.js.'

# The syntax is old, so that an old node can run it. The range of versions is that of package.json, which npm enforces
# too.
fits() { # NODE
  "$1" -e '
    var range = JSON.parse(require("fs").readFileSync("package.json", "utf8")).engines.node;
    var have = process.versions.node.split(".").map(Number);
    var fits = range.split(" || ").some(function (part) {
      var bound = /^(\^|>=)(\d+)\.(\d+)\.\d+$/.exec(part);
      var major = Number(bound[2]), minor = Number(bound[3]);
      if (have[0] === major) return have[1] >= minor;
      return bound[1] === ">=" && have[0] > major;
    });
    process.exit(fits ? 0 : 1);
  '
}

# Fetches the pinned Node.js into the checkout, where the launchers and `npm run` look for it. npm compares it with the
# hash in runtime/package-lock.json.
runtime_stamp=runtime/.fetched
fetch_runtime() {
  wanted_runtime=$(cksum <runtime/package-lock.json)
  if [ ! -x runtime/bin/node ] || [ "$(cat $runtime_stamp 2>/dev/null)" != "$wanted_runtime" ]; then
    say "this needs Node.js $(node -p 'require("./package.json").engines.node'), and the machine's is $(node -v):"
    say 'fetching one into the checkout (runtime/; 50 MB)'
    rm -rf runtime/bin $runtime_stamp
    npm ci --prefix runtime --include=optional --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >/dev/null ||
      fail 'npm could not fetch Node.js; see above'
    set -- runtime/node_modules/node-linux-*/bin/node
    [ -x "$1" ] || fail "the npm registry has no Node.js for this machine ($(uname -m)); install one that fits"
    mkdir runtime/bin
    ln -s "../${1#runtime/}" runtime/bin/node
    fits runtime/bin/node || fail "$1 does not run here, or is too old"
    echo "$wanted_runtime" >$runtime_stamp
  fi
  PATH=$(pwd -P)/runtime/bin:$PATH
}

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

. scripts/chosen-node.sh
if [ -n "${TARDIS_NODE-}" ]; then
  fits node || fail "TARDIS_NODE=$TARDIS_NODE is Node.js $(node -v), which does not fit"
elif [ -e runtime/bin/node ] || ! fits node; then
  fetch_runtime
fi
export PATH

# The Node.js that packages are compiled for, and the directory of its headers, if it has one.
node_facts=$(node -e '
  const fs = require("node:fs"), path = require("node:path");
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const hasHeaders = fs.existsSync(path.join(prefix, "include", "node", "node_api.h"));
  console.log(process.arch + " " + (hasHeaders ? prefix : ""));
')
platform=${node_facts%% *}
node_prefix=${node_facts#* }
# If the headers are there, node-gyp need not download them.
if [ -n "$node_prefix" ]; then
  export npm_config_nodedir="$node_prefix"
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
  [ -n "$(find "$@" \( -type d -o -name '*.ts' -o -name '*.mjs' -o -name '*.json' -o -name '*.sql' -o -name '*.cc' \
    -o -name '*.h' -o -name '*.gyp' \) -newer "$is_newer_stamp" -print 2>/dev/null | head -n 1)" ]
}

# If somebody has installed packages with npm since the lock file changed, they need not be installed again.
are_installed_otherwise() {
  [ -n "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ] &&
    [ -e node_modules/typescript ] && [ -e node_modules/ava ] &&
    node -e 'new (require("better-sqlite3"))(":memory:")' 2>/dev/null
}

must_install=no
if [ "$(cat $packages_stamp 2>/dev/null)" != "$wanted_packages" ]; then
  if are_installed_otherwise; then
    echo "$wanted_packages" >$packages_stamp
  else
    must_install=yes
  fi
fi

lying_fuse=native/build/Release/lying-fuse # a file system, for tests
fuse_header=/usr/include/fuse3/fuse.h

is_addon_stale() {
  [ ! -e $addon ] || is_newer_than $addon native/src native/binding.gyp ||
    [ ! -e $extension ] || is_newer_than $extension native/testing ||
    { [ -e $fuse_header ] && [ ! -e $lying_fuse ]; }
}

must_build_addon=no
if is_addon_stale; then
  must_build_addon=yes
fi

must_build=no
if [ $must_install = yes ] || [ ! -e $build_stamp ] || [ ! -e dist/man ] || [ ! -e dist/completions ] ||
  is_newer_than $build_stamp src test bench schema tsconfig.json package.json \
    scripts/bundle.mjs scripts/make-man.mjs scripts/make-completions.mjs scripts/make-manuals.mjs; then
  must_build=yes
fi

# --- Programs of the system --------------------------------------------------------------------
lacking=''
lacks() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null 2>&1 || lacking="$lacking $2"
}
has_header() { # HEADER. Without a compiler it is looked for where distributions put it.
  if command -v "${CXX:-g++}" >/dev/null 2>&1; then
    printf '#include <stdio.h>\n#include <%s>\n' "$1" |
      ${CXX:-g++} -x c++ -fsyntax-only - >/dev/null 2>&1
  else
    [ -e "/usr/include/$1" ]
  fi
}
if [ $must_build_addon = yes ]; then
  lacks python3 python3
  lacks make make
  lacks g++ g++
  has_header librsync.h || lacking="$lacking librsync-dev"
  has_header zstd.h || lacking="$lacking libzstd-dev"
fi
needed_to_build=$lacking
lacks rsync rsync
lacks rdiff rdiff
lacks git git
lacks setfattr attr
lacks setfacl acl
lacks zstd zstd
lacks patch patch
lacks zsh zsh
lacks fish fish

can_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  as_root=''
  [ "$(id -u)" = 0 ] && return 0
  as_root=sudo
  command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

install_lacking() {
  can_install || return 1
  say "installing$lacking with apt-get (python3, make and g++ compile the addon, librsync applies deltas, libzstd"
  say 'compresses; rsync, rdiff, git, zstd and patch are what tests compare restored files, deltas, exclude rules and'
  say 'copies with; attr and acl give files of tests attributes and access lists; zsh and fish try completions)'
  # Lists of packages may be missing on a fresh machine. A source that fails need not be the one that has the packages.
  $as_root apt-get update -qq </dev/null || say 'apt-get update failed; trying with the lists at hand'
  # shellcheck disable=SC2086 # Words are meant to be split.
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $lacking </dev/null >/dev/null
}

if [ -n "$lacking" ] && ! install_lacking; then
  advice="on Debian and Ubuntu, as root: apt-get install$lacking"
  [ -z "$needed_to_build" ] || fail "please install$lacking first; $advice"
  say "missing:$lacking; tests that compare with them will fail; $advice"
fi

# Tools of file systems that tests mount, which only root can. Installed at most once: without them those tests log that
# they are left out.
file_systems='mount xfsprogs btrfs-progs f2fs-tools erofs-utils squashfs-tools dosfstools ntfs-3g fuse3 libfuse3-dev'
file_systems_stamp=dist/.tardis-file-systems
lacks_file_systems() {
  [ -e $fuse_header ] || return 0
  for program in mount mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.f2fs mkfs.erofs mksquashfs mkfs.vfat mkfs.ntfs ntfs-3g; do
    command -v $program >/dev/null 2>&1 || return 0
  done
  return 1
}
if [ "$(id -u)" = 0 ] && [ ! -e $file_systems_stamp ] && lacks_file_systems && can_install; then
  say "installing file systems that tests mount, with apt-get: $file_systems e2fsprogs"
  [ -n "$lacking" ] || apt-get update -qq </dev/null || say 'apt-get update failed; trying with the lists at hand'
  for package in e2fsprogs $file_systems; do # one by one: a distribution may lack some
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" \
      </dev/null >/dev/null 2>&1 || say "no $package; tests that need it are left out"
  done
  touch $file_systems_stamp
fi

# --- Packages of npm ---------------------------------------------------------------------------
if [ $must_install = yes ]; then
  if [ -e $packages_stamp ]; then
    say 'package-lock.json or Node.js changed: installing the npm packages anew (npm ci)'
  else
    say 'installing the npm packages (npm ci)'
  fi
  rm -f $packages_stamp
  # Packages for building and testing are installed even if settings of the user leave them out.
  npm ci --include=dev --include=optional --ignore-scripts=false --no-audit --no-fund </dev/null ||
    fail 'npm ci failed; see above'
  echo "$wanted_packages" >$packages_stamp
fi

# --- The addon ---------------------------------------------------------------------------------
if is_addon_stale; then
  say 'building the native addon (system calls that Node.js lacks)'
  touch dist/.addon-began
  node scripts/build-native.mjs </dev/null || fail 'the addon could not be built; see above'
  # make may find nothing to do for a newer source; its output is touched, so that it does not run again each time.
  touch -r dist/.addon-began $addon $extension
fi

# --- TypeScript --------------------------------------------------------------------------------
if [ $must_build = yes ]; then
  say 'compiling the TypeScript'
  # With its notes, the compiler would not write files again that it wrote once and somebody removed.
  [ -e $build_stamp ] || rm -f dist/.tsbuildinfo
  # The time before the compiler runs is kept, since files that change during the run must be compiled the next time.
  touch $build_stamp.new
  rm -f $build_stamp
  npm run --silent build </dev/null || fail 'the TypeScript does not compile; see above'
  # Removes the output of removed sources, so that it is not run any more, least of all as a test.
  for folder in dist/src dist/test dist/bench; do
    [ ! -d $folder ] || find $folder -name '*.js'
  done | while read -r output; do
    source=${output#dist/}
    [ -e "${source%.js}.ts" ] || rm -f "$output" "$output.map"
  done
  mv $build_stamp.new $build_stamp
fi

echo ready
