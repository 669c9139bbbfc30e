// Pace: slow
/**
 * A hostile server, or somebody between it and the client, changes a field of the answer to `openSet` or `closeSet`. A
 * client that encrypts seals a set with these fields. It never reports a set as complete that cannot be proven later, and
 * the next honest run restores everything.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { decodeMessage, encodeMessage, type Head } from '../../src/transport/index.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { lyingServer } from '../helpers/lying-server.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { lab } from '../helpers/lab.js';
import { differences, look } from '../helpers/tree.js';

backupsRunHere();

type Opened = Head<'setOpened'>;
type Closed = Head<'setClosed'>;

/** Returns a name with another character at a place, which is counted from the end if it is negative. */
function changed(name: string, at: number): string {
  const place = at < 0 ? name.length + at : at;
  const code = name.charCodeAt(place) ^ 1; // the last one of base64 may have bits that do not count
  return name.slice(0, place) + String.fromCharCode(code) + name.slice(place + 1);
}

const OPENINGS: Readonly<Record<string, (opened: Opened) => Partial<Opened>>> = {
  'a later set': ({ set }) => ({ set: set + 1 }),
  'an earlier set': ({ set }) => ({ set: set - 1 }),
  'a name that is not sealed': ({ name }) => ({ name: changed(name, 0) }),
  'a name with other last bits': ({ name }) => ({ name: changed(name, -1) }),
  'another set before': ({ sealedSet }) => ({ sealedSet: sealedSet + 1 }),
  'another seal before': ({ seal }) => ({ seal: Buffer.from(seal).fill(7, 24) }),
  'no seal before': () => ({ sealedSet: 0, seal: Buffer.alloc(0) }),
  'a protected root': ({ protection }) => ({ protection: protection.map(() => 'empty') }),
  'an empty store': ({ empty }) => ({ empty: !empty }),
};
const CLOSINGS: Readonly<Record<string, (closed: Closed) => Partial<Closed>>> = {
  'a later set': ({ set }) => ({ set: set + 1000 }),
  'an earlier set': ({ set }) => ({ set: set - 1 }),
};

const home = makeScratch();
let server: Server;
test.before(async () => {
  server = await Server.start(path.join(home, 'store'));
});
test.after.always(async () => {
  await server.kill();
  removeScratch(home);
});

let clients = 0;
for (const [message, forgeries] of [
  ['setOpened', OPENINGS],
  ['setClosed', CLOSINGS],
] as const) {
  for (const [what, forge] of Object.entries(forgeries)) {
    test(`an honest run restores everything after a forged ${message}: ${what}`, async (t) => {
      const { source, at, written } = lab(t);
      clients += 1;
      const secret = ['--password-file', written('password', 'word of pass\n')];
      const login = ['-C', `client-${clients}`, ...secret];
      await succeed('tardis', [...login, ...server.clientArgs, '--create', source]);
      // A machine without a memory of the sets cannot compare with it.
      const env = { XDG_STATE_HOME: at('other-machine') };
      let hasLied = false;
      const there = await lyingServer(t, server, (name, bytes) => {
        if (name !== message || hasLied) return [bytes];
        hasLied = true;
        const { head } = decodeMessage(message, bytes);
        return [encodeMessage(message, { ...head, ...forge(head as never) }).head];
      });
      fs.writeFileSync(path.join(source, 'two'), 'changed');
      const lied = await run('tardis', [...login, ...there, source], { env });
      t.true(hasLied);
      t.is(codeIn(lied), 'PROTOCOL_VIOLATION', lied.stdout + lied.stderr);
      const honest = [...login, ...server.clientArgs];
      await succeed('tardis', [...honest, source], { env });
      const output = at('out');
      await succeed('regenerate', [...honest, '-o', output, source], { env });
      t.deepEqual(differences(look(source), look(path.join(output, path.basename(source)))), []);
    });
  }
}
