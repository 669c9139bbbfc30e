/** The Debian package on the machine it is meant for, which has neither Node.js nor a compiler. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import {
  LONGEST_MS,
  makePackages,
  named,
  runLong,
  runProgram,
  whyNoPackages,
} from '../helpers/packages.js';

const CANNOT = 75;

const reason = whyNoPackages();
const out = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-deb-'));

test.before(async () => {
  if (reason === undefined) await makePackages(out, '--only=deb');
});
test.after.always(() => fs.rmSync(out, { recursive: true, force: true }));

test.serial(
  'the package installs on a bare Debian, serves, upgrades, and leaves stores when it goes',
  async (t) => {
    t.timeout(LONGEST_MS);
    if (reason !== undefined) {
      t.log(`left out: packages cannot be made here (${reason})`);
      return t.pass();
    }
    const tried = await runLong('bash', ['scripts/try-deb.sh', named(out, /\.deb$/)]);
    if (tried.status === CANNOT) {
      t.log(`left out: ${tried.stderr.trim()}`);
      return t.pass();
    }
    t.is(tried.status, 0, `${tried.stdout}\n${tried.stderr}`);
    t.log(tried.stdout.trim());
    t.regex(tried.stdout, /^ok: installed again, and restored$/m);
  },
);

test.serial('lintian has nothing to say about the package', async (t) => {
  t.timeout(LONGEST_MS);
  const hasLintian = (): boolean => runProgram('sh', ['-c', 'command -v lintian']).status === 0;
  if (reason === undefined && process.getuid!() === 0 && !hasLintian()) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = [
      '-o',
      'DPkg::Lock::Timeout=300',
      'install',
      '-y',
      '-qq',
      '--no-install-recommends',
      'lintian',
    ];
    runProgram('apt-get', install, { env });
  }
  if (reason !== undefined || !hasLintian()) {
    t.log('left out: no lintian');
    return t.pass();
  }
  const checked = await runLong('lintian', ['--allow-root', named(out, /\.deb$/)]);
  t.is(checked.stdout, '', checked.stderr);
  t.is(checked.status, 0);
});
