/** Limits the bytes of contents and the number of entries in flight. The source waits if either limit is reached. */
import { Credit } from '../system/index.js';

export class Budget {
  readonly bytes: Credit;
  readonly items: Credit;

  constructor(limitBytes: number, limitItems: number) {
    this.bytes = new Credit(limitBytes);
    this.items = new Credit(limitItems);
  }

  /** Makes all waiting callers fail, so that none waits forever after a failure. */
  fail(error: Error): void {
    this.bytes.fail(error);
    this.items.fail(error);
  }
}
