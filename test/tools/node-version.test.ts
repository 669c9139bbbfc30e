/** The versions of Node.js that are refused are those that package.json excludes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'ava';
import { requireNode } from '../../src/tools/index.js';

const { engines } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as {
  engines: { node: string };
};

/** True if a version is in the range of package.json: `^A.B.0 || >=C.0.0`. */
function isInRange(major: number, minor: number): boolean {
  return engines.node.split(' || ').some((part) => {
    const [, sign, leastMajor, leastMinor] = /^(\^|>=)(\d+)\.(\d+)\.0$/.exec(part)!;
    if (major === Number(leastMajor)) return minor >= Number(leastMinor);
    return sign === '>=' && major > Number(leastMajor);
  });
}

test('a Node.js that package.json excludes is refused, and no other', (t) => {
  t.notThrows(() => requireNode());
  for (let major = 18; major < 32; major += 1) {
    for (const minor of [0, 11, 12, 19, 20, 30]) {
      const version = `${major}.${minor}.1`;
      if (isInRange(major, minor)) t.notThrows(() => requireNode(version), version);
      else t.throws(() => requireNode(version), { code: 'NODE_NOT_SUPPORTED' }, version);
    }
  }
});

test('a Node.js in which no program could start is refused in words', (t) => {
  const older = 'import module from "node:module"; delete module.getCompileCacheDir;';
  const words = ['--import', `data:text/javascript,${older}`, 'dist/bundle/tardis.js', '--version'];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  t.is(status, 1);
  t.regex(
    stderr,
    /^tardis: this is Node\.js .*, which is too old \[NODE_NOT_SUPPORTED\]\ntardis: /,
  );
  t.false(stderr.includes('    at '), stderr);
});
