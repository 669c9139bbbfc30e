/** Runs a program whose standard input and output are one connection, and whose standard error has its messages. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type Duplex, PassThrough } from 'node:stream';
import { JoinedPipes } from './joined-pipes.js';
import { environmentOfOthers } from './other-programs.js';

/** Maximum number of characters of the program's messages that are kept for an error. */
const MAX_KEPT_CHARS = 8192;
/** Maximum number of characters of messages that are passed on while the connection lasts; the rest is dropped. */
const MAX_PASSED_CHARS = 64 << 10;
/** Time for which a program may go on after its connection is closed, unless it has its own time. It is killed then. */
const END_GRACE_MS = 2000;
/** Maximum time to wait for the rest of the messages after the program's exit: a child of its own may hold them open. */
const LAST_WORDS_MS = 1000;

/** The end of a program. */
export interface ProgramEnd {
  /** The exit status; null if a signal has ended it, or if it was not started. */
  readonly status: number | null;
  /** The signal that has ended the program; null if this process sent it. */
  readonly signal: NodeJS.Signals | null;
  /** The error for a program that was not started. */
  readonly notStarted: NodeJS.ErrnoException | undefined;
  /** The last messages. They are not checked. */
  readonly output: string;
}

export interface ProgramSocket {
  readonly socket: Duplex;
  /** Resolves when the program has ended and its messages were read. It ends soon after the socket is closed. */
  readonly ended: Promise<ProgramEnd>;
  /** Passes all messages, earlier ones too, to `report`, line by line. */
  passMessages(report: (line: string) => void): void;
}

/**
 * Starts a program. It shares the terminal of this process, on which it may prompt. One that is `ours` has the whole
 * environment of this process, a process group of its own, so that Ctrl-C does not reach it, and time to end its work.
 */
export function openProgram(
  [program, ...words]: readonly string[],
  ours?: { readonly endMs: number },
): ProgramSocket {
  const child: ChildProcess = spawn(program!, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: ours === undefined ? environmentOfOthers() : process.env,
    detached: ours !== undefined,
  });
  // A program that was not started for lack of descriptors has no pipes.
  const socket = new JoinedPipes(
    child.stdout ?? new PassThrough(),
    child.stdin ?? new PassThrough(),
  );
  const messages = new Messages(child);
  socket.on('error', () => undefined); // its users hear of it, too; a program that was not started may have none
  child.once('error', (error) => socket.destroy(error));
  const ended = endOf(child, messages);
  socket.once('close', () => {
    const timer = setTimeout(() => child.kill('SIGKILL'), ours?.endMs ?? END_GRACE_MS);
    void ended.then(() => clearTimeout(timer));
  });
  return { socket, ended, passMessages: (report) => messages.pass(report) };
}

class Messages {
  output = '';
  private passedChars = 0;
  private rest = '';
  private report: ((line: string) => void) | undefined;

  constructor({ stderr }: ChildProcess) {
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output = (this.output + text).slice(-MAX_KEPT_CHARS);
      this.passOn(text);
    });
    stderr?.on('error', () => undefined); // the end of the program has the reason
  }

  pass(report: (line: string) => void): void {
    this.report = report;
    this.passOn(this.output);
  }

  private passOn(text: string): void {
    if (this.report === undefined || this.passedChars > MAX_PASSED_CHARS) return;
    this.passedChars += text.length;
    const lines = (this.rest + text).split(/[\r\n]+/);
    this.rest = lines.pop()!.slice(-MAX_KEPT_CHARS);
    for (const line of lines) if (line !== '') this.report(line);
  }
}

function endOf(child: ChildProcess, messages: Messages): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const end = (
      status: number | null,
      signal: NodeJS.Signals | null,
      notStarted?: NodeJS.ErrnoException,
    ): void => resolve({ status, signal, notStarted, output: messages.output });
    child.once('error', (error) => {
      if (child.pid === undefined) end(null, null, error);
    });
    child.once('exit', (status, by) => {
      const signal = child.killed ? null : by;
      const timer = setTimeout(() => end(status, signal), LAST_WORDS_MS);
      child.once('close', () => {
        clearTimeout(timer);
        end(status, signal);
      });
    });
  });
}
