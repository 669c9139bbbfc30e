/**
 * Answers that a client has not acknowledged. They are sent again when the client returns over another connection.
 * Both ends count messages, so no message needs a number.
 */
import { TardisError } from '../errors/index.js';

export class UnacknowledgedAnswers {
  /** Number of bytes of the answers that are kept. */
  bytes = 0;
  private acknowledged = 0;
  private readonly kept: Buffer[] = [];

  keep(answer: Buffer): void {
    this.kept.push(answer);
    this.bytes += answer.length;
  }

  /**
   * Discards the answers that the client has handled: the first `upTo` of all. Throws PROTOCOL_VIOLATION if there are
   * not so many, or if it has acknowledged more before.
   */
  acknowledge(upTo: number): void {
    const count = upTo - this.acknowledged;
    if (count < 0 || count > this.kept.length) {
      throw new TardisError(
        'PROTOCOL_VIOLATION',
        'the client acknowledges what it cannot have heard',
      );
    }
    for (const answer of this.kept.splice(0, count)) this.bytes -= answer.length;
    this.acknowledged = upTo;
  }

  /** The answers to send again, in order. */
  get unacknowledged(): readonly Buffer[] {
    return this.kept;
  }
}
