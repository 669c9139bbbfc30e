#!/bin/sh
# Runs unit and contract tests of what depends on the runtime, and backups, restores and checks of an encrypting client by real commands, with each
# other Node.js that is supported. TEST_SEED chooses a tenth of the files; TEST_SHARE=1 runs all. Fetches the other
# versions from the npm registry, compared with the hashes in runtime/others/package-lock.json: `sh scripts/other-nodes.sh`, after set-up.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*)
  echo "other-nodes: there is no Node.js for $(uname -m) in the npm registry; left out"
  exit 0
  ;;
esac
sh scripts/with-node.sh npm ci --prefix runtime/others --include=optional --ignore-scripts --no-audit --no-fund \
  --loglevel=error </dev/null >/dev/null

# Tests of settings, rules, dates, names and texts are left out, since their results are the same on every Node.js.
folders='client contract crypto delta history mount pipeline restore server store system transport workers'
every=$(awk -v share="${TEST_SHARE:-0.1}" 'BEGIN { print share < 1 ? int(1 / share + 0.5) : 1 }')
TEST_SEED=${TEST_SEED:-$$}
TEST_TIMES=/dev/null # the times of its files are not printed
export TEST_SEED TEST_TIMES

some_of() { # FOLDER: one in $every of its files, and at least one; of those that take long too
  find "dist/test/$1" -name '*.test.js' | LC_ALL=C sort | awk -v every="$every" -v seed="$TEST_SEED" '
    { files[found++] = $0 }
    END {
      if (every > found) every = found
      for (at = 0; at < found; at += 1) if (at % every == seed % every) print files[at]
    }'
}

for major in 22 26; do
  TARDIS_NODE=$(pwd -P)/runtime/others/node_modules/node-$major-$arch/bin/node
  export TARDIS_NODE
  version=$("$TARDIS_NODE" --version)
  chosen=$(for folder in $folders; do some_of "$folder"; done)
  # shellcheck disable=SC2086
  if ! sh scripts/with-node.sh node scripts/run-tests.mjs --grouped --tap dist/test/e2e/tour.test.js $chosen >dist/other-node.tap; then
    grep -A 40 '^not ok' dist/other-node.tap || tail -n 40 dist/other-node.tap
    echo "other-nodes: tests fail with Node.js $version" >&2
    exit 1
  fi
  echo "other-nodes: $(grep -c '^ok' dist/other-node.tap) tests are right with Node.js $version (TEST_SEED=$TEST_SEED)"
  TEST_SEED=$((TEST_SEED + 1)) # the next version takes other files
done
