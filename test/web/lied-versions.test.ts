// Pace: slow
/** A server that answers with the versions of another file of the same name: no door shows them as versions. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { placeOfNode, VersionsTree } from '../../src/mount/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { provenGaps, provenVersions } from '../../src/tools/index.js';
import { registerDav } from '../../src/web/dav/index.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { inlineLab } from '../helpers/inline.js';
import { openLied } from '../helpers/lied-history.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { dir, file } from '../helpers/tree.js';
import { makeWebLab } from '../helpers/web-lab.js';

const SECRET = 'of the other directory';
const ALL = { authorization: 'Bearer me:all' };

/** Returns a history whose server answers with the versions of another file `name`, once it lies. */
async function makeLab(t: ExecutionContext) {
  const { place, source, backup } = inlineLab(t, [
    dir('one', [file('name', 'first')]),
    dir('two', [file('name', SECRET)]),
  ]);
  const password = { password: PASSWORD };
  await backup(password);
  fs.writeFileSync(path.join(source, 'one', 'name'), 'the second');
  fs.writeFileSync(path.join(source, 'two', 'name'), `${SECRET}, again`);
  await backup(password);
  const keyring = (await keyringOfPlace(place))!;
  const lies = { isLying: false, isHiding: false };
  const [one, two] = ['one', 'two'].map((above) =>
    keyring.names.path(Buffer.from(`${source}/${above}/name`)),
  );
  const open = () =>
    openLied(place, keyring, (honest) => ({
      versions: async (sealed) => {
        const found = await honest.versions(lies.isLying && sealed.equals(one!) ? two! : sealed);
        return lies.isHiding ? found.slice(0, 1) : found;
      },
    }));
  return { open, lies, source };
}

test('WebDAV answers with the status 500 for each, and sends no content', async (t) => {
  const { open, lies, source } = await makeLab(t);
  const lab = await makeWebLab('me', async () => open(), false, [], registerDav);
  t.teardown(() => lab.close());
  const url = `/dav/me/versions${source}/one/name/`;
  const ask = (method: 'PROPFIND' | 'GET', at: string) =>
    lab.app.inject({ method: method as 'GET', url: at, headers: { ...ALL, depth: '1' } });
  const honest = await ask('PROPFIND', url);
  const [, ...names] = [...honest.body.matchAll(/<D:href>(.*?)<\/D:href>/g)].map(([, at]) => at!);
  t.is(names.length, 2, honest.body);
  t.is((await ask('GET', names[0]!)).body, 'first');
  lies.isLying = true;
  const lied = await ask('PROPFIND', url);
  t.is(lied.body.match(/500 Internal Server Error/g)?.length, 2, lied.body);
  for (const name of names) {
    const answer = await ask('GET', name);
    t.true(answer.statusCode >= 500, `${answer.statusCode}`);
    t.false(answer.body.includes(SECRET));
    t.true(answer.body.includes('NOT_AUTHENTIC'), answer.body);
  }
});

test('the API marks each as damaged', async (t) => {
  const { open, lies, source } = await makeLab(t);
  const lab = await makeWebLab('me', async () => open());
  t.teardown(() => lab.close());
  const ask = async () => {
    const url = `/api/v1/clients/me/versions?path=${encodeURIComponent(`${source}/one/name`)}`;
    const answer = await lab.app.inject({ method: 'GET', url, headers: ALL });
    return answer.json<{ versions: { entry: { sizeBytes: number; damage?: string } }[] }>();
  };
  t.deepEqual(
    (await ask()).versions.map(({ entry }) => [entry.sizeBytes, entry.damage]),
    [
      ['first'.length, undefined],
      ['the second'.length, undefined],
    ],
  );
  lies.isLying = true;
  const { versions } = await ask();
  t.is(versions.length, 2);
  for (const { entry } of versions) t.regex(entry.damage ?? '', /does not have this version/);
});

test('lstardis leaves them out, and does not call a path gone that a set has', async (t) => {
  const { open, lies, source } = await makeLab(t);
  const history = open();
  t.teardown(() => history.close());
  const at = Buffer.from(`${source}/one/name`);
  const ask = async () => provenVersions(history, at, await history.versions(at));
  t.like(await ask(), { versions: { length: 2 }, refused: { length: 0 } });
  lies.isLying = true;
  const lied = await ask();
  t.deepEqual(lied.versions, []);
  t.deepEqual(
    lied.refused.map(({ code }) => code),
    ['NOT_AUTHENTIC'],
  );
  lies.isLying = false;
  lies.isHiding = true;
  t.is((await ask()).versions.length, 1);
  const gap = { entry: undefined, firstSet: 2, lastSet: undefined };
  const gaps = await provenGaps(history, at, [gap], await history.sets());
  t.deepEqual(gaps.shown, []);
  t.deepEqual(
    gaps.refused.map(({ code }) => code),
    ['NOT_AUTHENTIC'],
  );
  const never = Buffer.from(`${source}/one/never`);
  t.like(await provenGaps(history, never, [gap], await history.sets()), {
    shown: [gap],
    refused: [],
  });
});

test('a mount shows the names of versions only, without nodes', async (t) => {
  const { open, lies, source } = await makeLab(t);
  const history = open();
  t.teardown(() => history.close());
  const nodesOf = async (): Promise<boolean[]> => {
    const { native } = nodeSystem();
    const tree = new VersionsTree({ history, native, tree: 9, changedMs: () => 0 });
    let directory = 0;
    for (const name of `${source}/one/name`.split('/').filter((part) => part !== '')) {
      const shown = await tree.lookup(directory, Buffer.from(name));
      directory = placeOfNode(shown!.nodeLow, shown!.nodeHigh).directory;
    }
    const versions = await tree['versionsOf'](directory);
    return versions.map(({ nodeLow, nodeHigh }) => nodeLow !== 0 || nodeHigh !== 0);
  };
  t.deepEqual(await nodesOf(), [true, true]);
  lies.isLying = true;
  t.deepEqual(await nodesOf(), [false, false]);
});
