/** A small catalog, and a reader that requests all that a user's commands request. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  Access,
  type History,
  type ChangesPage,
  openHistoryIn,
} from '../../../src/history/index.js';
import { applyEvent, applySection, Catalog } from '../../../src/store/catalog/index.js';
import { asTardisError, type ErrorCode } from '../../../src/errors/index.js';
import { EntryType } from '../../../src/model/index.js';
import { nodeSystem, type System } from '../../../src/system/index.js';
import { entryOf, rowsOf } from '../../helpers/rows.js';
import { magnitude, must, refusal } from '../engine/target.js';
import { scratchFolder } from './scratch.js';

const OPENED_AT_MS = 1_700_000_000_123;
const PAGE = 50;
const MOST_DIRECTORIES = 8;
/** Limit of pages, far above what the few entries of this catalog need. */
const MOST_PAGES = 50;
const CODES: readonly ErrorCode[] = [
  'CATALOG_DAMAGED',
  'CATALOG_NEWER',
  'CATALOG_OLDER',
  'NO_SUCH_SET',
  'STORE_NOT_READABLE',
  'IO_FAILED',
  'CLIENT_BUSY',
];

/** Returns the error that a command would report, as an outcome. */
export function reported(error: unknown): string {
  return refusal(asTardisError(error), CODES);
}

export class CatalogGround {
  readonly system: System = nodeSystem();
  readonly folder: string = path.join(scratchFolder(), 'me');
  readonly file: string = path.join(this.folder, 'tardis.db');

  constructor() {
    mkdirSync(path.join(this.folder, 'packs'), { recursive: true });
  }

  /**
   * Makes a catalog with one set of a few entries; returns its bytes. Its pages are small, so that mutations hit
   * something.
   */
  make(): Buffer {
    const database = this.system.openDatabase(this.file, { readonly: false });
    database.pragma('page_size = 512');
    database.close();
    const catalog = Catalog.openForWriting(this.system, this.file);
    catalog.begin();
    const [set, root] = [1, 1];
    const roots = [{ root, path: Buffer.from('/data'), directory: 2 }];
    const times = { openedAtMs: OPENED_AT_MS, clientTimeMs: OPENED_AT_MS };
    applyEvent(catalog, { type: 'set-opened', set, name: 'Backup-1', ...times, roots });
    const sub = entryOf('sub', { type: EntryType.directory });
    const link = entryOf('link', { type: EntryType.symlink, linkTarget: Buffer.from('file') });
    const section = { set, root, removed: [], closed: false };
    const top = rowsOf(entryOf('data', { type: EntryType.directory }));
    applySection(catalog, { ...section, directory: 1, rows: top, children: [2] });
    const rows = rowsOf(entryOf('file'), link, sub);
    applySection(catalog, { ...section, directory: 2, rows, children: [3] });
    applySection(catalog, {
      ...section,
      directory: 3,
      rows: rowsOf(entryOf('deep')),
      children: [],
    });
    const note = { directory: 3, name: Buffer.from('x'), what: 'unreadable', reason: 'EACCES' };
    applyEvent(catalog, { type: 'notes', set, notes: [note] });
    const owner = { isGroup: false, id: 1000, name: Buffer.from('me') };
    applyEvent(catalog, { type: 'owners', set, owners: [owner] });
    const stats = { files: 3 };
    applyEvent(catalog, { type: 'set-closed', set, closedAtMs: OPENED_AT_MS, stats });
    catalog.commit();
    catalog.close();
    return readFileSync(this.file);
  }

  /** Opens the catalog and requests what listing, restoring and reporting request; returns the outcomes. */
  async read(): Promise<string> {
    let history: History;
    try {
      const directory = { client: 'me', path: this.folder, catalogPath: this.file };
      history = openHistoryIn(this.system, directory, Access.ofThisProcess());
    } catch (error) {
      return reported(error);
    }
    try {
      const words = [await this.outcomeOf(async () => this.sets(history))];
      words.push(
        await this.outcomeOf(async () =>
          JSON.stringify(await history.reports.figures()).length.toString(),
        ),
      );
      words.push(
        await this.outcomeOf(async () => {
          await history.reports.settings();
          await history.reports.rootsOfSets();
          await this.changes(history);
          return magnitude((await history.versions(Buffer.from('/data/sub/deep'))).length);
        }),
      );
      return words.join(' / ');
    } finally {
      history.close();
    }
  }

  /** Reads the differences between no set and the first one, page by page, as the tools do. */
  private async changes(history: History): Promise<void> {
    const span = { before: 0, set: 1, limit: PAGE };
    let after: ChangesPage['after'] | undefined = { directory: -1, name: Buffer.alloc(0) };
    for (let pages = 0; after !== undefined; pages += 1) {
      must(pages < MOST_PAGES, 'differences have no end');
      ({ next: after } = await history.reports.changes({ ...span, after }));
    }
  }

  private async outcomeOf(ask: () => Promise<string>): Promise<string> {
    try {
      return await ask();
    } catch (error) {
      return reported(error);
    }
  }

  private async sets(history: History): Promise<string> {
    let entries = 0;
    for (const { set } of (await history.sets()).slice(0, 3)) {
      const roots = await history.roots(set);
      await history.notes(set);
      await history.owners(set);
      await history.seals(set, 0, PAGE);
      await history.reports.clientConfig(set);
      const open = roots.map(({ directory }) => directory);
      for (let at = 0; at < Math.min(open.length, MOST_DIRECTORIES); at += 1) {
        const page = { directory: open[at]!, set, after: Buffer.alloc(0), limit: PAGE };
        const found = await history.list({ ...page, withDigests: true });
        await history.locate(found);
        for (const { childId } of found) if (childId !== undefined) open.push(childId);
        entries += found.length;
      }
    }
    return magnitude(entries);
  }
}
