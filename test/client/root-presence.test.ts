/** Roots and mount points that disappear during a backup. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { identityAt, RootPresence } from '../../src/client/index.js';
import { scratch } from '../helpers/scratch.js';

function directories(t: ExecutionContext, ...names: string[]): Buffer[] {
  const home = scratch(t);
  return names.map((name) => {
    fs.mkdirSync(path.join(home, name), { recursive: true });
    return Buffer.from(path.join(home, name));
  });
}

const rootsOf = (...paths: Buffer[]) => paths.map((path) => ({ path, identity: identityAt(path) }));
const pathsOf = (places: readonly { readonly path: Buffer }[]) => places.map(({ path }) => path);

test('a root that is there as before is not lost', (t) => {
  const roots = directories(t, 'one', 'two');
  const presence = new RootPresence(rootsOf(...roots));
  t.deepEqual(presence.lost(), []);
  fs.writeFileSync(path.join(roots[0]!.toString(), 'new'), 'its content may change');
  t.deepEqual(presence.lost(), []);
});

test('a root that is gone, or is another directory now, is lost once', (t) => {
  const [one, two, three] = directories(t, 'one', 'two', 'three');
  const presence = new RootPresence(rootsOf(one!, two!, three!));
  fs.rmdirSync(one!);
  fs.renameSync(two!, `${two!.toString()} aside`);
  fs.mkdirSync(two!);
  const lost = presence.lost();
  t.deepEqual(pathsOf(lost), [one, two]);
  t.deepEqual(
    lost.map(({ slot }) => slot),
    [-1, -2],
    'the roots are named by their slots',
  );
  t.deepEqual(presence.lost(), []);
});

test('a directory that was entered as a mount point, and is none, is lost', (t) => {
  const [root, below] = directories(t, 'root', 'root/below');
  const presence = new RootPresence(rootsOf(root!));
  presence.enter(below!);
  const lost = presence.lost();
  t.deepEqual(pathsOf(lost), [below]);
  t.is(lost[0]!.slot, -1, 'it belongs to its root');
});

test('a directory beside the roots is not looked at, even if its name begins like theirs', (t) => {
  const [root, beside] = directories(t, 'root', 'root and more');
  const presence = new RootPresence(rootsOf(root!));
  presence.enter(beside!);
  fs.rmdirSync(beside!);
  t.deepEqual(presence.lost(), []);
});

test('a root that is entered again keeps the identity that it had', (t) => {
  const [root] = directories(t, 'root');
  const presence = new RootPresence(rootsOf(root!));
  fs.renameSync(root!, `${root!.toString()} aside`);
  fs.mkdirSync(root!);
  presence.enter(root!);
  t.deepEqual(pathsOf(presence.lost()), [root]);
});
