/** Answers to who reports on a client, or changes a setting that is kept with it. */
import { changesToWire, figuresToWire, type Reports, setRootsToWire } from '../../archive/index.js';
import { TardisError } from '../../errors/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  MAX_DIRECTORY_PATHS,
  MAX_PAGE_ENTRIES,
  type MessageName,
} from '../../transport/index.js';

/** Roots of sets in one answer. */
const PAGE_ROOTS = 16_384;
/** Rows or paths in one answer, unless a single one is larger. */
const PAGE_BYTES = 4 << 20;

/** `value` undefined: it is not set any more. */
export type ChangeSetting = (key: string, value: string | undefined) => Promise<void>;

/** Undefined: it is another question. Throws PROTOCOL_VIOLATION, and what the change of a setting throws. */
export async function answerReport(
  name: MessageName,
  bytes: Buffer,
  reports: Reports,
  change: ChangeSetting,
): Promise<Buffer | undefined> {
  switch (name) {
    case 'readSetRoots': {
      const { question, from } = headOf(name, bytes);
      const roots = await reports.rootsOfSets();
      const page = setRootsToWire(roots, from, { roots: PAGE_ROOTS, bytes: PAGE_BYTES });
      return encoded('setRootsAre', { question, ...page });
    }
    case 'readChanges': {
      const { question, before, set, directory, name: behind, limit } = headOf(name, bytes);
      if (before >= set || limit > MAX_PAGE_ENTRIES) throw refused('sets or a limit');
      const page = { before, set, after: { directory, name: behind }, limit };
      return encoded('changesAre', {
        question,
        ...changesToWire(await reports.changes(page), PAGE_BYTES),
      });
    }
    case 'readDirectoryPaths': {
      const { question, set, directories } = headOf(name, bytes);
      if (directories.length > MAX_DIRECTORY_PATHS) throw refused('a number of directories');
      const paths = cut(await reports.directoryPaths(set, directories));
      return encoded('directoryPathsAre', { question, paths });
    }
    case 'readSettings': {
      const { question } = headOf(name, bytes);
      const settings = await reports.settings();
      const keys = settings.map(({ key }) => key);
      const values = settings.map(({ value }) => value);
      return encoded('settingsAre', { question, keys, values });
    }
    case 'changeSetting': {
      const { question, key, value, isSet } = headOf(name, bytes);
      await change(key, isSet ? value : undefined);
      return encoded('settingChanged', { question });
    }
    case 'readConfiguration': {
      const { question, set } = headOf(name, bytes);
      const config = (await reports.clientConfig(set)) ?? '';
      return encoded('configurationIs', { question, config });
    }
    case 'readFigures': {
      const { question } = headOf(name, bytes);
      return encoded('figuresAre', { question, ...figuresToWire(await reports.figures()) });
    }
    default:
      return undefined;
  }
}

/** As many as one answer takes, the first in any case. */
function cut(paths: readonly (Buffer | undefined)[]): Buffer[] {
  let bytes = 0;
  const end = paths.findIndex((path, index) => {
    bytes += path?.length ?? 0;
    return index > 0 && bytes > PAGE_BYTES;
  });
  return paths.slice(0, end < 0 ? paths.length : end).map((path) => path ?? NOTHING);
}

const NOTHING: Buffer = Buffer.alloc(0);

function headOf<N extends MessageName>(name: N, bytes: Buffer): Head<N> {
  return decodeMessage(name, bytes).head;
}

function encoded<N extends MessageName>(name: N, head: Head<N>): Buffer {
  return encodeMessage(name, head).head;
}

function refused(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a question asks with ${what} that cannot be`);
}
