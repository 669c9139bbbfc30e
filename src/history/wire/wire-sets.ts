/** Codecs of backup sets, and of the data of one set: roots, notes, owners and seals. */
import type { BackupSet, SealedDirectory } from '../../store/catalog/index.js';
import { DIRECTORY_SEAL_BYTES, isSetMarks } from '../../model/index.js';
import type { OwnerRecord, RootRecord, SetNote } from '../../store/index.js';
import type { Body } from '../../transport/index.js';
import { type Coder, isPath, odd } from './coder.js';

export const SETS: Coder<readonly BackupSet[], Body<'setsAre'>, unknown> = {
  toWire: (sets) => ({ sets }),
  fromWire: ({ sets }) => {
    if (!sets.every(({ marks }) => isSetMarks(marks))) throw odd('marks of a set');
    return sets.map((set) => ({ ...set, closedAtMs: set.closedAtMs }));
  },
};

export const ROOTS: Coder<readonly RootRecord[], Body<'rootsAre'>, unknown> = {
  toWire: (roots) => ({ roots }),
  fromWire: ({ roots }) => {
    if (!roots.every(({ path }) => isPath(path))) throw odd('roots');
    return roots;
  },
};

/** A page of a list; with `hasMore`, further items follow. */
interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/** Returns the codec of a page that is a message. A page without items is the last one. */
function page<T>(): Coder<Page<T>, Page<T>, unknown> {
  return {
    toWire: (sent) => sent,
    fromWire: ({ items, hasMore }) => ({ items, hasMore: hasMore && items.length > 0 }),
  };
}

export const NOTES: Coder<Page<SetNote>, Body<'notesAre'>, unknown> = page();
export const OWNERS: Coder<Page<OwnerRecord>, Body<'ownersAre'>, unknown> = page();

/** A page of the seals of a set's directories, and the seal of the set itself. */
interface SealPage extends Page<SealedDirectory> {
  readonly setSeal: Buffer | undefined;
}

export const SEALS: Coder<SealPage, Body<'sealsAre'>, Body<'readSeals'>> = {
  toWire: ({ items, setSeal, hasMore }) => ({
    directories: items.map(({ directory }) => directory),
    seals: Buffer.concat(items.map(({ seal }) => seal)),
    hasMore,
    setSeal: setSeal ?? Buffer.alloc(0),
  }),
  fromWire: ({ directories, seals, setSeal, hasMore }, { after }) => {
    if (seals.length !== directories.length * DIRECTORY_SEAL_BYTES) throw odd('seals');
    const items = directories.map((directory, index) => {
      if (directory <= (directories[index - 1] ?? after)) throw odd('seals');
      const at = index * DIRECTORY_SEAL_BYTES;
      return { directory, seal: seals.subarray(at, at + DIRECTORY_SEAL_BYTES) };
    });
    return {
      items,
      setSeal: setSeal.length === 0 ? undefined : setSeal,
      hasMore: hasMore && items.length > 0,
    };
  },
};
