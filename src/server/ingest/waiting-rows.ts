/** Rows whose contents are still in flight, by digest. Their number is limited, to protect the memory. */
import { TardisError } from '../../errors/index.js';
import type { SlotState } from './slots.js';

const MAX_WAITING_ROWS = 1 << 18;

interface WaitingRow {
  readonly slot: SlotState;
  readonly row: Buffer;
}

export class WaitingRows {
  private readonly rows = new Map<string, WaitingRow[]>();
  private total = 0;

  get count(): number {
    return this.total;
  }

  add(key: string, row: WaitingRow): void {
    if (this.total >= MAX_WAITING_ROWS) {
      throw new TardisError('PROTOCOL_VIOLATION', 'too many rows wait for their contents');
    }
    this.total += 1;
    row.slot.waitingRows += 1;
    const others = this.rows.get(key);
    if (others === undefined) this.rows.set(key, [row]);
    else others.push(row);
  }

  /** Removes and returns the rows that waited for a content. */
  take(key: string): readonly WaitingRow[] {
    const rows = this.rows.get(key) ?? [];
    this.rows.delete(key);
    this.total -= rows.length;
    for (const { slot } of rows) slot.waitingRows -= 1;
    return rows;
  }
}
