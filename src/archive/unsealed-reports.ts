/**
 * Reports on a client that encrypts, for who has its keys. What is told is opened, and refused if this client did
 * not seal it; nothing proves that all is told: that is for who lists or restores a set.
 */
import { type Keyring, SealSum } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import type { KeptSetting } from '../model/index.js';
import type { EntryOpener } from './opened-entries.js';
import type { ChangesFound, ChangesPage, Reports, StoreFigures } from './reports.js';

export class UnsealedReports implements Reports {
  private readonly sealed: Reports;
  private readonly keyring: Keyring;
  private readonly opener: EntryOpener;

  constructor(sealed: Reports, keyring: Keyring, opener: EntryOpener) {
    this.sealed = sealed;
    this.keyring = keyring;
    this.opener = opener;
  }

  async rootsOfSets(): Promise<ReadonlyMap<number, readonly Buffer[]>> {
    const { names } = this.keyring;
    const opened = new Map<string, Buffer>(); // the same ones in every set, mostly
    const open = (path: Buffer): Buffer => {
      const key = path.toString('latin1');
      const known = opened.get(key) ?? names.openPath(path);
      opened.set(key, known);
      return known;
    };
    const roots = await this.sealed.rootsOfSets();
    return new Map([...roots].map(([set, paths]) => [set, paths.map(open)]));
  }

  /** Each page is in the order of the names as they are read; the place to go on at is as the store has it. */
  async changes(page: ChangesPage): Promise<ChangesFound> {
    const { entries, next } = await this.sealed.changes(page);
    this.opener.open(entries, new SealSum());
    const inOrder = entries.toSorted(
      (one, other) => one.directory - other.directory || Buffer.compare(one.name, other.name),
    );
    return { entries: inOrder, next };
  }

  async directoryPaths(
    set: number,
    directories: readonly number[],
  ): Promise<(Buffer | undefined)[]> {
    const { names } = this.keyring;
    const paths = await this.sealed.directoryPaths(set, directories);
    return paths.map((path) => path && names.openPath(path));
  }

  settings(): Promise<readonly KeptSetting[]> {
    return this.sealed.settings();
  }

  /** One that is not sealed was made up by the store. */
  async clientConfig(set: number): Promise<string | undefined> {
    const config = await this.sealed.clientConfig(set);
    if (config === undefined) return undefined;
    const opened = this.keyring.names.openText(config);
    if (opened !== config) return opened;
    throw new TardisError(
      'NOT_AUTHENTIC',
      `what the client was set to in set ${set} is not its own`,
    );
  }

  figures(): Promise<StoreFigures> {
    return this.sealed.figures();
  }
}
