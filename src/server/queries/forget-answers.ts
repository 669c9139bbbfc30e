/** Answers to requests to forget paths, and to withdraw such requests. */
import { forgetsToWire } from '../../history/index.js';
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetPath,
  MAX_FORGET_REQUESTS,
} from '../../model/index.js';
import { answer, headOf, refused } from './answer-messages.js';

/** Operations on the requests of one client. */
export interface Forgets {
  readonly preview: (paths: readonly Buffer[]) => Promise<ForgetReport>;
  /** Adds requests; they are due no sooner than the server's own least delay. */
  readonly ask: (paths: readonly Buffer[], undoMs: number) => Promise<readonly ForgetRequest[]>;
  readonly withdraw: (ids: readonly number[]) => Promise<void>;
  readonly all: () => readonly ForgetRequest[];
}

/** Throws PROTOCOL_VIOLATION, CLIENT_BUSY, NO_SUCH_REQUEST, USAGE. */
export async function answerForget(
  name: 'forgetPaths' | 'withdrawForgets' | 'readForgets',
  bytes: Buffer,
  forgets: Forgets,
): Promise<Buffer> {
  if (name === 'readForgets') {
    const { question } = headOf(name, bytes);
    return told(question, forgets.all());
  }
  if (name === 'withdrawForgets') {
    const { question, ids } = headOf(name, bytes);
    await forgets.withdraw(ids);
    return told(question, forgets.all());
  }
  const { question, paths, undoMs, preview } = headOf(name, bytes);
  if (paths.length > MAX_FORGET_REQUESTS || !paths.every(isForgetPath)) {
    throw refused('a path to forget');
  }
  if (preview) return told(question, [], await forgets.preview(paths));
  return told(question, await forgets.ask(paths, undoMs));
}

function told(question: number, requests: readonly ForgetRequest[], report?: ForgetReport): Buffer {
  return answer('forgetsAre', { question, ...forgetsToWire(requests, report) });
}
