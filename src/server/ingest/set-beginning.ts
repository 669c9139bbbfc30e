/** Detects a set that received only its first messages, which a client sends before it has an answer. */
import type { MessageName } from '../../transport/index.js';

const BEGINNING: ReadonlySet<MessageName> = new Set([
  'openSet',
  'configuration',
  'owners',
  'heads',
]);

export class SetBeginning {
  /** True as long as nothing was received that would be lost with the set. */
  isAll = true;

  take(name: MessageName): void {
    this.isAll &&= BEGINNING.has(name);
  }
}
