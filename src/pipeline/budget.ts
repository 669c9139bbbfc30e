/** What may be in flight: bytes of contents and entries. The source waits when either is spent. */
import { Credit } from '../transport/index.js';

export class Budget {
  readonly bytes: Credit;
  readonly items: Credit;

  constructor(limitBytes: number, limitItems: number) {
    this.bytes = new Credit(limitBytes);
    this.items = new Credit(limitItems);
  }

  /** After a failure nobody may wait on. */
  fail(error: Error): void {
    this.bytes.fail(error);
    this.items.fail(error);
  }
}
