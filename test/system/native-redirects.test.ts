/** Directories that the addon opens elsewhere than at their paths. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { identityOf, RowReader } from '../../src/model/index.js';
import { type DirectoryPlace, OpenedPlace } from '../../src/system/index.js';
import { native } from '../helpers/native.js';
import { scratch } from '../helpers/scratch.js';

const MOST = 100;

interface Two {
  readonly live: string;
  /** A directory with the same names, which stands for a snapshot. */
  readonly kept: string;
}

function two(t: ExecutionContext): Two {
  const home = scratch(t);
  for (const name of ['live', 'kept']) {
    fs.mkdirSync(path.join(home, name, 'below', 'mount'), { recursive: true });
    fs.writeFileSync(path.join(home, name, 'below', name), name);
  }
  return { live: path.join(home, 'live'), kept: path.join(home, 'kept') };
}

/** Runs work while directories are opened elsewhere. */
function redirected(
  pairs: readonly (readonly [string, string | undefined])[],
  work: () => void,
): void {
  try {
    for (const [from, to] of pairs) {
      const fd = to === undefined ? undefined : fs.openSync(to, fs.constants.O_DIRECTORY);
      native.redirect(Buffer.from(from), fd, 1000);
      if (fd !== undefined) fs.closeSync(fd);
    }
    work();
  } finally {
    native.endRedirects();
  }
}

/** Returns the place of a directory as a backup begins with it. */
function placeOf(directory: string): DirectoryPlace {
  const path = Buffer.from(directory);
  const row = new RowReader(native.statRow(path, path, true));
  const identity = identityOf(row, 0, fs.lstatSync(directory, { bigint: true }).dev);
  native.beginLine(path, identity);
  return { path, identity };
}

function namesIn(directory: string): string[] {
  const place = placeOf(directory);
  const rows = new RowReader(native.listOrHold(place.path, MOST, place.identity) as Buffer);
  const names: string[] = [];
  for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at))
    names.push(rows.name(at).toString());
  return names;
}

test.serial('a path at or below a redirected one is opened there, the nearest one first', (t) => {
  const { live, kept } = two(t);
  const mount = path.join(live, 'below', 'mount');
  fs.writeFileSync(path.join(mount, 'of the mount'), '');
  redirected(
    [
      [live, kept],
      [mount, undefined],
    ],
    () => {
      t.deepEqual(namesIn(path.join(live, 'below')), ['kept', 'mount']);
      t.deepEqual(namesIn(mount), ['of the mount']);
      t.deepEqual(namesIn(path.join(kept, 'below')), ['kept', 'mount']);
      t.true(native.isRedirected(Buffer.from(live)));
      t.deepEqual(
        [mount, `${live}2`, path.dirname(live)].map((each) =>
          native.isRedirected(Buffer.from(each)),
        ),
        [false, false, false],
      );
      t.is(native.redirectedSince(), 1000);
    },
  );
  t.deepEqual(namesIn(path.join(live, 'below')), ['live', 'mount']);
  t.is(native.redirectedSince(), undefined);
});

test.serial(
  'the row of a directory that is not in a snapshot is the live one, and so are its attributes',
  (t) => {
    const { live, kept } = two(t);
    const [below, mount] = [path.join(live, 'below'), path.join(live, 'below', 'mount')];
    fs.chmodSync(mount, 0o710);
    redirected(
      [
        [live, kept],
        [mount, undefined],
      ],
      () => {
        const place = placeOf(below);
        using directory = new OpenedPlace(native, place);
        const row = new RowReader(native.statAt(directory.fd, Buffer.from('mount')));
        t.is(row.inode(0), fs.lstatSync(mount, { bigint: true }).ino);
        t.is(row.permissions(0), 0o710);
        const listed = new RowReader(native.listOrHold(place.path, MOST, place.identity) as Buffer);
        t.is(listed.inode(listed.rowBytes(0)), row.inode(0));
      },
    );
  },
);

test.serial('no link leads out of a redirected directory', (t) => {
  const { live, kept } = two(t);
  fs.symlinkSync(path.dirname(live), path.join(kept, 'link'));
  fs.mkdirSync(path.join(live, 'link'));
  redirected([[live, kept]], () => {
    const { identity } = placeOf(live);
    for (const name of ['link', 'link/kept']) {
      const way = Buffer.from(path.join(live, name));
      t.throws(() => native.beginLine(way, identity), { code: 'ELOOP' });
    }
  });
});

test.serial('the root of the system can be redirected', (t) => {
  const { kept } = two(t);
  redirected([['/', kept]], () => {
    t.is(
      new RowReader(
        native.statRow(Buffer.from('/below/kept'), Buffer.from('kept'), true),
      ).sizeBytes(0),
      4,
    );
    t.true(native.isRedirected(Buffer.from('/')));
  });
});
