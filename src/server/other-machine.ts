/** Warns of a second machine that backs up under the name of a client. */
import type { Logger } from 'pino';
import { decodeMessage, MESSAGES } from '../transport/index.js';

/** Logs that another machine has made the set before the one that `answer` opens, since the sets of both are then mixed. */
export function warnOfMachine(log: Logger, client: string, answer: Buffer): void {
  if (answer[0] !== MESSAGES.setOpened.number) return;
  const { set, otherMachine } = decodeMessage('setOpened', answer).head;
  if (otherMachine === undefined) return;
  log.error({ client, set, otherMachine }, 'another machine has made the set before');
}
