/** The stores that each release wrote, in test/data/releases: what they hold, and how they are packed. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RESERVE_FILE } from '../../src/store/index.js';

const RELEASES = fileURLToPath(new URL('../../../test/data/releases', import.meta.url));
const SETS_FILE = 'sets.json';

/** The password of the stores that encrypt. It protects nothing. */
export const RELEASE_SECRET = 'a store of a release';
/** The client in each store. */
export const RELEASE_CLIENT = 'me';
/** The file whose content is damaged in the store of that kind. */
export const DAMAGED_FILE = 'docs/hurt';

export const KINDS = ['clear', 'encrypting', 'deltas', 'bucket', 'damaged'] as const;
export type Kind = (typeof KINDS)[number];

export function isEncrypting(kind: Kind): boolean {
  return kind === 'encrypting' || kind === 'bucket';
}

/** Contents of a store at the time it was written. */
export interface StoreSets {
  /** Absolute path of the tree that was backed up. */
  readonly source: string;
  /** Oldest first. The entries are a Snapshot without owners. */
  readonly sets: readonly { readonly name: string; readonly entries: Record<string, string> }[];
}

export type ReleaseSets = Readonly<Record<Kind, StoreSets>>;

/** Returns the versions that have stores, oldest first. */
export function releases(): string[] {
  return fs.readdirSync(RELEASES).sort(new Intl.Collator('en', { numeric: true }).compare);
}

export function setsOf(release: string): ReleaseSets {
  const file = path.join(RELEASES, release, SETS_FILE);
  return JSON.parse(fs.readFileSync(file, 'utf8')) as ReleaseSets;
}

/** Returns entries without owner and group, which are those of the user who runs this. */
export function withoutOwners(entries: ReadonlyMap<string, string>): Record<string, string> {
  const owner = /^(\S+(?: device)? \d{4}) \d+:\d+ /;
  return Object.fromEntries(
    [...entries].map(([name, words]) => [name, words.replace(owner, '$1 ')]),
  );
}

/** Unpacks a store, or the objects of a bucket, into a new directory. */
export function unpackStore(release: string, kind: Kind, to: string): void {
  fs.mkdirSync(to, { mode: 0o700 });
  execFileSync('tar', [
    '-xzf',
    path.join(RELEASES, release, `${kind}.tar.gz`),
    '-C',
    to,
    '--no-same-owner',
  ]);
}

/** Keeps the stores in `folder`, one directory for each kind, as those of a release. */
export function packStores(release: string, folder: string, sets: ReleaseSets): void {
  const place = path.join(RELEASES, release);
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(place, { recursive: true });
  for (const kind of KINDS) {
    const archive = path.join(place, `${kind}.tar.gz`);
    const owner = [
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      `--exclude=${RESERVE_FILE}`,
      '--sort=name',
      '--sparse',
    ];
    execFileSync('tar', ['-czf', archive, ...owner, '-C', path.join(folder, kind), '.']);
  }
  fs.writeFileSync(path.join(place, SETS_FILE), `${JSON.stringify(sets, undefined, 2)}\n`);
}
