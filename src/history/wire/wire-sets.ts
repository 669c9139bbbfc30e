/** Codecs of backup sets, and of the data of one set: roots, notes, owners and seals. */
import type { BackupSet, SealedDirectory } from '../../store/catalog/index.js';
import { DIRECTORY_SEAL_BYTES, isSetMarks } from '../../model/index.js';
import type { OwnerRecord, RootRecord, SetNote } from '../../store/index.js';
import type { Body } from '../../transport/index.js';
import { type Coder, isParallel, isPath, odd } from './coder.js';

export const SETS: Coder<readonly BackupSet[], Body<'setsAre'>, unknown> = {
  toWire: (sets) => ({
    sets: sets.map(({ stats, marks, ...set }) => {
      return { ...set, stats: { ...stats }, marks: { ...marks, tags: [...marks.tags] } };
    }),
  }),
  fromWire: ({ sets }) => {
    if (!sets.every(({ marks }) => isSetMarks(marks))) throw odd('marks of a set');
    return sets.map(({ marks: { machine, requestedBy, ...marks }, ...set }) => ({
      ...set,
      closedAtMs: set.closedAtMs,
      marks: {
        ...marks,
        ...(machine === undefined ? {} : { machine }),
        ...(requestedBy === undefined ? {} : { requestedBy }),
      },
    }));
  },
};

export const ROOTS: Coder<readonly RootRecord[], Body<'rootsAre'>, unknown> = {
  toWire: (roots) => ({
    roots: roots.map(({ root }) => root),
    directories: roots.map(({ directory }) => directory),
    paths: roots.map(({ path }) => path),
    devices: roots.map(({ device }) => device ?? ''),
  }),
  fromWire: ({ roots, directories, paths, devices }) => {
    if (!isParallel(roots, directories, paths, devices) || !paths.every(isPath)) throw odd('roots');
    return roots.map((root, index) => ({
      root,
      path: paths[index]!,
      directory: directories[index]!,
      device: devices[index]!,
    }));
  },
};

/** A page of a list; with `hasMore`, further items follow. */
interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

export const NOTES: Coder<Page<SetNote>, Body<'notesAre'>, unknown> = {
  toWire: ({ items, hasMore }) => ({
    directories: items.map(({ directory }) => directory),
    names: items.map(({ name }) => name),
    whats: items.map(({ what }) => what),
    reasons: items.map(({ reason }) => reason),
    more: hasMore,
  }),
  fromWire: ({ directories, names, whats, reasons, more }) => {
    if (!isParallel(directories, names, whats, reasons)) throw odd('notes');
    const items = directories.map((directory, index) => ({
      directory,
      name: names[index]!,
      what: whats[index]!,
      reason: reasons[index]!,
    }));
    return { items, hasMore: more && items.length > 0 };
  },
};

export const OWNERS: Coder<Page<OwnerRecord>, Body<'ownersAre'>, unknown> = {
  toWire: ({ items, hasMore }) => ({
    groups: Buffer.from(items.map(({ isGroup }) => (isGroup ? 1 : 0))),
    ids: items.map(({ id }) => id),
    names: items.map(({ name }) => name),
    more: hasMore,
  }),
  fromWire: ({ groups, ids, names, more }) => {
    if (!isParallel(groups, ids, names)) throw odd('owners');
    const items = ids.map((id, index) => ({
      isGroup: groups[index] === 1,
      id,
      name: names[index]!,
    }));
    return { items, hasMore: more && items.length > 0 };
  },
};

/** A page of the seals of a set's directories, and the seal of the set itself. */
interface SealPage extends Page<SealedDirectory> {
  readonly setSeal: Buffer | undefined;
}

export const SEALS: Coder<SealPage, Body<'sealsAre'>, Body<'readSeals'>> = {
  toWire: ({ items, setSeal, hasMore }) => ({
    directories: items.map(({ directory }) => directory),
    seals: Buffer.concat(items.map(({ seal }) => seal)),
    more: hasMore,
    setSeal: setSeal ?? Buffer.alloc(0),
  }),
  fromWire: ({ directories, seals, setSeal, more }, { after }) => {
    if (seals.length !== directories.length * DIRECTORY_SEAL_BYTES) throw odd('seals');
    const items = directories.map((directory, index) => {
      if (directory <= (directories[index - 1] ?? after)) throw odd('seals');
      const at = index * DIRECTORY_SEAL_BYTES;
      return { directory, seal: seals.subarray(at, at + DIRECTORY_SEAL_BYTES) };
    });
    const hasMore = more && items.length > 0;
    return { items, setSeal: setSeal.length === 0 ? undefined : setSeal, hasMore };
  },
};
