/**
 * Maps a number of messages to their total bytes. Only totals at intervals are kept, because a server may report
 * "durable" late or never.
 */

const MAX_MARKS = 1024;

interface Mark {
  readonly messages: number;
  readonly bytes: number;
}

export class MessageMarks {
  private marks: Mark[] = [];
  private last: Mark = { messages: 0, bytes: 0 };
  private bytes = 0;
  /** Number of messages between two marks; doubled when there are too many marks. */
  private step = 1;

  /** Records that `messages` messages with `bytes` bytes in total have been sent by now. */
  note(messages: number, bytes: number): void {
    this.last = { messages, bytes };
    if (messages - (this.marks.at(-1)?.messages ?? 0) < this.step) return;
    this.marks.push(this.last);
    if (this.marks.length <= MAX_MARKS) return;
    this.marks = this.marks.filter((_mark, at) => at % 2 === 1);
    this.step *= 2;
  }

  /** Returns the bytes of the first `messages` messages, or slightly fewer. Removes the marks of these messages. */
  upTo(messages: number): number {
    const count = this.marks.findLastIndex((mark) => mark.messages <= messages) + 1;
    const reached = this.marks.splice(0, count).at(-1);
    this.bytes = messages >= this.last.messages ? this.last.bytes : (reached?.bytes ?? this.bytes);
    if (this.marks.length === 0) this.step = 1;
    return this.bytes;
  }
}
