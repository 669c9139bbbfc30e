/** Answers to questions about reports on a client, and to changes of settings stored with it. */
import {
  changesToWire,
  figuresToWire,
  namesToWire,
  type Reports,
  setRootsToWire,
} from '../../history/index.js';
import { MAX_DIRECTORY_PATHS, MAX_PAGE_ENTRIES, type MessageName } from '../../transport/index.js';
import { answer, fitting, headOf, PAGE_BYTES, PAGE_ITEMS, refused } from './answer-messages.js';

/** Changes a setting; removes it if `value` is undefined. */
export type ChangeSetting = (key: string, value: string | undefined) => Promise<void>;

/** Returns undefined for other questions. Throws PROTOCOL_VIOLATION, and errors of changing a setting. */
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
      const page = setRootsToWire(roots, from, { roots: PAGE_ITEMS, bytes: PAGE_BYTES });
      return answer('setRootsAre', { question, ...page });
    }
    case 'readChanges': {
      const { question, before, set, directory, name: behind, limit } = headOf(name, bytes);
      if (before >= set || limit > MAX_PAGE_ENTRIES) throw refused('sets or a limit');
      const page = { before, set, after: { directory, name: behind }, limit };
      return answer('changesAre', {
        question,
        ...changesToWire(await reports.changes(page), PAGE_BYTES),
      });
    }
    case 'readNamed': {
      const { question, directory, name: behind, literal } = headOf(name, bytes);
      const page = { after: { directory, name: behind }, literal, isMatch: () => true };
      return answer('namesAre', { question, ...namesToWire(await reports.named(page)) });
    }
    case 'readDirectoryPaths': {
      const { question, set, directories } = headOf(name, bytes);
      if (directories.length > MAX_DIRECTORY_PATHS) throw refused('a number of directories');
      const found = await reports.directoryPaths(set, directories);
      const paths = fitting(found, (path) => path?.length ?? 0).map((path) => path ?? NOTHING);
      return answer('directoryPathsAre', { question, paths });
    }
    case 'readSettings': {
      const { question } = headOf(name, bytes);
      const settings = await reports.settings();
      const keys = settings.map(({ key }) => key);
      const values = settings.map(({ value }) => value);
      return answer('settingsAre', { question, keys, values });
    }
    case 'changeSetting': {
      const { question, key, value, isSet } = headOf(name, bytes);
      await change(key, isSet ? value : undefined);
      return answer('settingChanged', { question });
    }
    case 'readConfiguration': {
      const { question, set } = headOf(name, bytes);
      const config = (await reports.clientConfig(set)) ?? '';
      return answer('configurationIs', { question, config });
    }
    case 'readFigures': {
      const { question } = headOf(name, bytes);
      return answer('figuresAre', { question, ...figuresToWire(await reports.figures()) });
    }
    default:
      return undefined;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
