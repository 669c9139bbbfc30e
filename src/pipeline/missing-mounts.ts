/**
 * Reports mount points that no longer have a mounted file system. The server protects them: their entries stay as they
 * were.
 */
import { forEachRow, joinPath, RowReader, type SlotNumber } from '../model/index.js';
import { Wanted } from '../transport/index.js';
import { type DirectoryBlock, type Failure, runOf } from '../workers/index.js';
import type { BackupPeer } from './peer.js';

const REASON = 'what was mounted on it is not there';

export class MissingMounts {
  /** Paths that were reported already. */
  private readonly reported = new Set<string>();
  /** Paths of the directories whose listings are being compared, by slot. */
  private readonly pending = new Map<SlotNumber, Buffer>();

  constructor(
    private readonly peer: BackupPeer,
    private readonly report: (failures: readonly Failure[]) => void,
  ) {
    peer.onMountsGone = (slot, names) => {
      const path = this.pending.get(slot);
      if (path !== undefined) for (const name of names) this.hold(slot, path, name);
    };
  }

  /** Sends a listing, or a page of one, to be compared. Resolves with a `Wanted` for each row. */
  async listing(
    slot: SlotNumber,
    path: Buffer,
    rows: Buffer,
    isLast: boolean,
  ): Promise<Uint8Array> {
    this.pending.set(slot, Buffer.from(path));
    const wanted = await this.peer.listing(slot, rows, isLast);
    if (isLast) this.pending.delete(slot);
    if (!wanted.includes(Wanted.protected)) return wanted;
    const reader = new RowReader(rows);
    let index = 0;
    forEachRow(reader, (at) => {
      if (wanted[index] === Wanted.protected) this.hold(slot, path, reader.name(at));
      index += 1;
    });
    return wanted;
  }

  /** Reports a declared directory that the server protects. */
  directory({ parents, rows, paths, pathEnds }: DirectoryBlock): void {
    const path = Buffer.from(runOf(paths, pathEnds, 0));
    this.once({ slot: parents[0]!, name: new RowReader(rows).name(0), path });
  }

  private hold(slot: SlotNumber, directory: Buffer, name: Uint8Array): void {
    this.once({ slot, name, path: joinPath(directory, Buffer.from(name)) });
  }

  private once({ slot, name, path }: Pick<Failure, 'slot' | 'name' | 'path'>): void {
    const key = Buffer.from(path).toString('latin1');
    if (this.reported.has(key)) return;
    this.reported.add(key);
    this.report([{ slot, name: Uint8Array.from(name), path, what: 'protected', reason: REASON }]);
  }
}
