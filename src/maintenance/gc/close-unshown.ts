/**
 * Closes open entries below roots that the newest listed set does not include. Entries that a listed set shows stay
 * open: if a set includes the root again, it continues from them. Each closing is also written to the packs, since a
 * rebuilt catalog would otherwise show the entry again.
 */
import type { DirectoryId, RootNumber } from '../../model/index.js';
import { ROOTS_DIRECTORY, type RootUse } from '../../store/catalog/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { SetJournal } from '../../store/writer/index.js';
import type { Breathe } from './survey.js';

/** Number of directories that are read, or names that are closed, in one slice of work. */
const SLICE_ROWS = 2048;
/** Number of changes between two checkpoints. */
const CHECKPOINT_CHANGES = 1 << 16;

/**
 * Closes open entries that no listed set shows, below roots that the newest listed set does not include. It may be
 * interrupted; the next run closes the rest.
 */
export async function closeUnlisted(store: StoreWriter, breathe: Breathe): Promise<void> {
  const roots = store.catalog.unshown.roots();
  const newest = Math.max(0, ...roots.map((root) => root.newest));
  const left = roots.filter((root) => root.newest < newest);
  if (left.length > 0) await new Closing(store, left, breathe).run();
}

class Closing {
  private readonly roots: ReadonlyMap<RootNumber, RootUse>;
  private readonly journal: SetJournal;

  constructor(
    private readonly store: StoreWriter,
    roots: readonly RootUse[],
    private readonly breathe: Breathe,
  ) {
    this.roots = new Map(roots.map((root) => [root.root, root]));
    // Entries are closed as of the newest set. No version began after that set, and no closed version is valid in it.
    this.journal = new SetJournal(store, store.counters.set);
  }

  async run(): Promise<void> {
    const { unshown } = this.store.catalog;
    for (const root of this.roots.values()) this.closeRoot(root);
    for (const page of unshown.rootsOfDirectories()) {
      for (const [directory, number] of page) {
        const root = this.roots.get(number);
        if (root !== undefined) await this.closeIn(directory, root);
      }
      await this.breathe();
    }
    // These directories have no place and no open entries. If a set includes their root again but not them, nothing
    // could close them.
    for (const [directory, root] of unshown.emptyUnplaced()) {
      if (this.roots.has(root)) this.journal.closeDirectory(root, directory);
    }
    await this.journal.checkpoint();
  }

  private closeRoot({ root, newest }: RootUse): void {
    const name = Buffer.from(String(root));
    const open = this.store.catalog.entries.findOpen(ROOTS_DIRECTORY, name);
    if (open === undefined || open.firstSet <= newest) return;
    this.journal.remove({ root, directory: ROOTS_DIRECTORY, isNew: false }, name);
  }

  private async closeIn(directory: DirectoryId, { root, newest }: RootUse): Promise<void> {
    const { unshown, directories } = this.store.catalog;
    if (unshown.isSealOpenSince(directory, newest)) this.journal.seal(directory, undefined);
    for (;;) {
      const names = unshown.openSince(directory, newest, SLICE_ROWS);
      if (names.length === 0) return;
      for (const [name] of names) {
        this.journal.remove({ root, directory, isNew: false }, name);
      }
      // The listing now differs from the one that a client compares with.
      directories.setSkipHash(directory, undefined);
      if (this.journal.entriesSinceCheckpoint >= CHECKPOINT_CHANGES)
        await this.journal.checkpoint();
      await this.breathe();
    }
  }
}
