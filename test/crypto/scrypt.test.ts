/** Passwords that are stretched in a child process. A file of its own: it changes how this process does it. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { stretchInChildren, stretchOf, stretchPassword } from '../../src/crypto/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

const SALT = Buffer.alloc(16, 7);
const LIGHT = stretchOf(16 << 20);
/** A password with bytes that are no text. */
const PASSWORD = Buffer.from([0, 0x22, 0xc3, 0xff, 0x0a]);

const stretched = () => stretchPassword(PASSWORD, SALT, LIGHT);

/** Returns the number of timers that keep this process alive. */
const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

/** Takes a script for the program of child processes. `$node` is Node.js. */
async function withProgram(t: ExecutionContext, script: string, run: () => Promise<void>) {
  const file = path.join(scratchInMemory(t), 'program');
  writeFileSync(file, `#!/bin/sh\nnode='${process.execPath}'\n${script}\n`);
  chmodSync(file, 0o755);
  const { execPath } = process;
  process.execPath = file;
  try {
    await run();
  } finally {
    process.execPath = execPath;
  }
}

test.serial(
  'a child process gives what this one does, and its failure is made up for',
  async (t) => {
    const expected = await stretched();
    stretchInChildren();
    const mark = path.join(scratchInMemory(t), 'was here');
    await withProgram(t, `: > '${mark}'; exec "$node" "$@"`, async () => {
      t.deepEqual(await stretched(), expected);
    });
    t.true(existsSync(mark));
    const failures = [
      'exit 1',
      'cat > /dev/null; echo short',
      'head -c 40 /dev/zero',
      'kill -9 $$',
    ];
    for (const failure of failures) {
      await withProgram(t, failure, async () => {
        t.deepEqual(await stretched(), expected, failure);
      });
    }
    const { execPath } = process;
    process.execPath = '/nowhere';
    const before = timers();
    t.deepEqual(await stretched(), expected, 'no program');
    process.execPath = execPath;
    t.is(timers(), before, 'no timer keeps the process');
  },
);

test.serial('the password is no argument of the child process', async (t) => {
  stretchInChildren();
  const words = path.join(scratchInMemory(t), 'words');
  await withProgram(t, `echo "$@" > '${words}'; env >> '${words}'; exec "$node" "$@"`, async () => {
    await stretched();
  });
  const reported = readFileSync(words, 'latin1');
  t.true(reported.includes('scrypt'));
  t.false(reported.includes(PASSWORD.toString('base64')));
});
