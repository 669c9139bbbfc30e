/** Reports of a server. Its answers are checked, and each page must advance, so that their number is bounded. */
import {
  changesFromWire,
  type ChangesFound,
  type ChangesPage,
  figuresFromWire,
  type NamedPage,
  namesFromWire,
  type NamesFound,
  type Reports,
  setRootsFromWire,
  type StoreFigures,
} from '../index.js';
import { TardisError } from '../../errors/index.js';
import { isClientConfig, isKeptSetting, type KeptSetting } from '../../model/index.js';
import { MAX_DIRECTORY_PATHS } from '../../transport/index.js';
import type { RemotePeer } from './remote-peer.js';

export class RemoteReports implements Reports {
  private readonly peer: RemotePeer;

  constructor(peer: RemotePeer) {
    this.peer = peer;
  }

  async rootsOfSets(): Promise<ReadonlyMap<number, readonly Buffer[]>> {
    const all = new Map<number, Buffer[]>();
    for (let from: number | undefined = 1; from !== undefined; ) {
      const { head } = await this.peer.ask('readSetRoots', 'setRootsAre', { from });
      from = setRootsFromWire(head, from, all);
    }
    return all;
  }

  async changes({ before, set, after, limit }: ChangesPage): Promise<ChangesFound> {
    const question = { before, set, directory: after.directory, name: after.name, limit };
    const { head } = await this.peer.ask('readChanges', 'changesAre', question);
    const found = changesFromWire(head);
    if (!isFurther(found.next, after)) throw odd('changes');
    return found;
  }

  async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
    const question = { directory: after.directory, name: after.name, literal };
    const { head } = await this.peer.ask('readNamed', 'namesAre', question);
    const { versions, next } = namesFromWire(head);
    if (!isFurther(next, after)) throw odd('names');
    return { versions: versions.filter(({ name }) => isMatch(name)), next };
  }

  async directoryPaths(
    set: number,
    directories: readonly number[],
  ): Promise<(Buffer | undefined)[]> {
    const all: (Buffer | undefined)[] = [];
    while (all.length < directories.length) {
      const asked = directories.slice(all.length, all.length + MAX_DIRECTORY_PATHS);
      const question = { set, directories: asked };
      const { head } = await this.peer.ask('readDirectoryPaths', 'directoryPathsAre', question);
      const { paths } = head;
      if (paths.length === 0 || paths.length > asked.length) throw odd('paths');
      for (const path of paths) {
        if (path.length > 0 && (path[0] !== SLASH || path.includes(0))) throw odd('paths');
        all.push(path.length === 0 ? undefined : path);
      }
    }
    return all;
  }

  async settings(): Promise<readonly KeptSetting[]> {
    const { head } = await this.peer.ask('readSettings', 'settingsAre', {});
    const { keys, values } = head;
    const settings = keys.map((key, index) => ({ key, value: values[index]! }));
    if (keys.length !== values.length || !settings.every(isKeptSetting)) throw odd('settings');
    return settings;
  }

  async clientConfig(set: number): Promise<string | undefined> {
    const { head } = await this.peer.ask('readConfiguration', 'configurationIs', { set });
    if (!isClientConfig(head.config)) throw odd('settings');
    return head.config === '' ? undefined : head.config;
  }

  async figures(): Promise<StoreFigures> {
    const { head } = await this.peer.ask('readFigures', 'figuresAre', {});
    return figuresFromWire(head);
  }
}

const SLASH = 0x2f;

/** True if a page continues after the requested place, so that a server cannot repeat pages without end. */
function isFurther(next: ChangesFound['next'], after: ChangesPage['after']): boolean {
  return (
    next === undefined ||
    next.directory > after.directory ||
    (next.directory === after.directory && Buffer.compare(next.name, after.name) > 0)
  );
}

function odd(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `the ${what} in an answer do not add up`);
}
