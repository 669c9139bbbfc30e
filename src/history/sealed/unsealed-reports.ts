/**
 * Reports on an encrypting client, for a reader that has its keys. Results are opened, and rejected if this client did
 * not seal them. Reports are not proven to be complete; listing or restoring a set proves that.
 */
import { type NamedVersion, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import { unlessBug } from '../../errors/index.js';
import {
  type Keyring,
  type NameSealer,
  openConfig,
  SEALED_TEXT,
  sealedRun,
  SealSum,
} from '../../crypto/index.js';
import {
  type ClientConfig,
  type DirectoryId,
  lowerAscii,
  NO_BYTES,
  type RunRecord,
  type SetNumber,
} from '../../model/index.js';
import type { EntryOpener } from './entry-opener.js';
import type { ChangesFound, ChangesPage, NamedPage, NamesFound, Reports } from '../reports.js';

/** Reports without sealed names or texts, which are passed on as they are. Each one that is not named here must be opened. */
type PassedOn =
  | 'ownState'
  | 'attributeUse'
  | 'freedBy'
  | 'sizes'
  | 'settings'
  | 'figures'
  | 'store';

/** Returns the reports of a client, whose results are opened where they are sealed. */
export function unsealedReports(sealed: Reports, keyring: Keyring, opener: EntryOpener): Reports {
  const { names } = keyring;
  const opening: Required<Omit<Reports, PassedOn>> = {
    async rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>> {
      const opened = new Map<string, Buffer>(); // most roots are the same in every set
      const open = (path: Buffer): Buffer => {
        const key = path.toString('latin1');
        const known = opened.get(key) ?? names.openPath(path);
        opened.set(key, known);
        return known;
      };
      const roots = await sealed.rootsOfSets();
      return new Map([...roots].map(([set, paths]) => [set, paths.map(open)]));
    },

    /**
     * Returns a page of changes sorted by opened name. The place after which the next page begins is in the order of the
     * store.
     */
    async changes(page: ChangesPage): Promise<ChangesFound> {
      const { entries, next } = await sealed.changes(page);
      opener.open(entries, new SealSum());
      const inOrder = entries.toSorted(
        (one, other) => one.directory - other.directory || Buffer.compare(one.name, other.name),
      );
      return { entries: inOrder, next };
    },

    /** Requests all names and filters them here, since a store cannot match sealed names. Leaves out roots. */
    async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
      const all = { after, literal: NO_BYTES, isMatch: () => true };
      const wanted = lowerAscii(literal);
      const { versions, next } = await sealed.named(all);
      const found: NamedVersion[] = [];
      for (const version of versions) {
        if (version.directory === ROOTS_DIRECTORY) continue;
        const name = names.openName(version.name);
        if (lowerAscii(name).includes(wanted) && isMatch(name)) found.push({ ...version, name });
      }
      return { versions: found, next };
    },

    async directoryPaths(
      set: SetNumber,
      directories: readonly DirectoryId[],
    ): Promise<(Buffer | undefined)[]> {
      const paths = await sealed.directoryPaths(set, directories);
      return paths.map((path) => path && names.openPath(path));
    },

    runs: async (most) => (await sealed.runs(most)).map((run) => openedRun(run, names)),

    noteRuns: (runs) => sealed.noteRuns(runs.map((run) => sealedRun(run, names))),

    /**
     * Returns the opened configuration; undefined if there is none. Throws NOT_AUTHENTIC if it is not sealed, and
     * therefore invented by the store.
     */
    async clientConfig(set: SetNumber): Promise<ClientConfig | undefined> {
      const config = await sealed.clientConfig(set);
      return config && openConfig(names, config);
    },
  };
  return Object.assign(Object.create(sealed) as Reports, opening);
}

/** Returns a record with its words opened; without them if they are not sealed by this client. */
function openedRun({ words, ...run }: RunRecord, names: NameSealer): RunRecord {
  const isSealed = words?.startsWith(SEALED_TEXT) === true;
  const text = isSealed ? unlessBug(() => names.openText(words)) : undefined;
  return { ...run, ...(text !== undefined && { words: text }) };
}
