/** Reports of a server. Its answers are checked. Each page must advance, which bounds the number of pages. */
import type {
  ClientOverview,
  ChangesFound,
  ChangesPage,
  NamedPage,
  NamesFound,
  Reply,
  Reports,
  SizesFound,
  SizesRequest,
  StoreFigures,
  StoreState,
} from '../history/index.js';
import {
  type ClientConfig,
  type ClientSetting,
  type DirectoryId,
  RECENT_RUNS,
  type RunRecord,
  type SetNumber,
} from '../model/index.js';
import { MAX_DIRECTORY_PATHS } from '../transport/index.js';
import type { RemotePeer } from './remote-peer.js';

export class RemoteReports implements Reports {
  constructor(private readonly peer: RemotePeer) {}

  async rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>> {
    const all = new Map<SetNumber, readonly Buffer[]>();
    for (let from: SetNumber | undefined = 1; from !== undefined; ) {
      const { roots, next }: Reply<'readSetRoots'> = await this.peer.request('readSetRoots', {
        from,
      });
      for (const [set, paths] of roots) all.set(set, paths);
      from = next;
    }
    return all;
  }

  changes(page: ChangesPage): Promise<ChangesFound> {
    return this.peer.request('readChanges', page);
  }

  async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
    const { versions, next } = await this.peer.request('readNamed', { after, literal });
    return { versions: versions.filter(({ name }) => isMatch(name)), next };
  }

  async directoryPaths(
    set: SetNumber,
    directories: readonly DirectoryId[],
  ): Promise<(Buffer | undefined)[]> {
    const all: (Buffer | undefined)[] = [];
    while (all.length < directories.length) {
      const part = directories.slice(all.length, all.length + MAX_DIRECTORY_PATHS);
      all.push(...(await this.peer.request('readDirectoryPaths', { set, directories: part })));
    }
    return all;
  }

  settings(): Promise<readonly ClientSetting[]> {
    return this.peer.request('readSettings', undefined);
  }

  clientConfig(set: SetNumber): Promise<ClientConfig | undefined> {
    return this.peer.request('readConfiguration', { set });
  }

  figures(): Promise<StoreFigures> {
    return this.peer.request('readFigures', undefined);
  }

  sizes(request: SizesRequest): Promise<SizesFound> {
    return this.peer.request('readSizes', request);
  }

  store(): Promise<StoreState> {
    return this.peer.request('readStore', undefined);
  }

  runs(most: number = RECENT_RUNS): Promise<readonly RunRecord[]> {
    return this.peer.request('readRuns', { most });
  }

  noteRuns(runs: readonly RunRecord[]): Promise<void> {
    return this.peer.request('noteRuns', runs);
  }

  async ownState(): Promise<ClientOverview | undefined> {
    return (await this.peer.request('readOwnState', undefined))[0];
  }
}
