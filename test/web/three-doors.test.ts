// Pace: slow
/**
 * One client that encrypts, through a program without keys: the user's own door decrypts what it reads from it over HTTPS,
 * and so does a tool. Whatever the names are, the bytes are those of the source.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { joinPath } from '../../src/model/index.js';
import { serveHere } from '../helpers/local-door.js';
import { ALL_NAMES, someNames } from '../helpers/generated-names.js';
import { inlineLab, inlineSystem, restoreInline } from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import { file } from '../helpers/tree.js';
import { quotedPath } from '../helpers/web-doors.js';
import { openThroughWeb, startWeb, type WebServer } from '../helpers/web-server.js';

const SLASH = Buffer.from('/');
const AT_ONCE = 8;

/** Serves the client as `tardis-web --server https://…` does; returns a way to ask for a path. */
async function ownDoor(
  t: ExecutionContext,
  web: WebServer,
): Promise<(route: string) => Promise<Response>> {
  const history = await openThroughWeb(web, 'me');
  const { base, headers } = await serveHere(t, history);
  return (route) => fetch(`${base}/clients/me/sets/1/${route}`, { headers });
}

test('a tool over HTTPS and the own door of the user give the bytes of the source, for generated names', async (t) => {
  const names = someNames(shareOf(ALL_NAMES, 200));
  t.log(`${names.length} names, TEST_SEED=${seed}`);
  const { home, place, source, backup } = inlineLab(
    t,
    names.map((name) => file(name, name)),
  );
  process.env['XDG_STATE_HOME'] = path.join(home, 'state');
  await backup({ password: PASSWORD });
  const web = await startWeb(home, place.store);
  t.teardown(() => web.close());

  const out = path.join(home, 'out');
  const failures = await restoreInline(inlineSystem(), place, {
    paths: [source],
    output: out,
    open: () => openThroughWeb(web, 'me'),
  });
  t.deepEqual(failures, []);
  const top = Buffer.from(path.join(out, 'tree'));
  t.is(fs.readdirSync(top, { encoding: 'buffer' }).length, names.length);
  for (const name of names) {
    if (!fs.readFileSync(joinPath(top, name)).equals(name))
      t.fail(`restored ${name.toString('hex')}`);
  }

  const ask = await ownDoor(t, web);
  const waiting = [...names];
  const read = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const full = quotedPath(Buffer.concat([Buffer.from(source), SLASH, name]));
      const answer = await ask(`content?path=${full}`);
      const bytes = Buffer.from(await answer.arrayBuffer());
      if (!bytes.equals(name)) t.fail(`${full}: ${answer.status} ${bytes.toString('latin1')}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, read));
});
