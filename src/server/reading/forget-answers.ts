/** Answers to who wants paths to be forgotten, or not after all. */
import { forgetsToWire } from '../../archive/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetPath,
  MAX_FORGET_REQUESTS,
} from '../../model/index.js';
import { decodeMessage, encodeMessage } from '../../transport/index.js';

/** What whoever has the right to may do about it. */
export interface Forgets {
  readonly preview: (paths: readonly Buffer[]) => Promise<ForgetReport>;
  /** Not before the server's own time to take it back is over. */
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
    const { question } = decodeMessage(name, bytes).head;
    return answer(question, forgets.all());
  }
  if (name === 'withdrawForgets') {
    const { question, ids } = decodeMessage(name, bytes).head;
    await forgets.withdraw(ids);
    return answer(question, forgets.all());
  }
  const { question, paths, undoMs, preview } = decodeMessage(name, bytes).head;
  if (paths.length > MAX_FORGET_REQUESTS || !paths.every(isForgetPath)) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a path to forget is none');
  }
  if (preview) return answer(question, [], await forgets.preview(paths));
  return answer(question, await forgets.ask(paths, undoMs));
}

function answer(
  question: number,
  requests: readonly ForgetRequest[],
  report?: ForgetReport,
): Buffer {
  return encodeMessage('forgetsAre', { question, ...forgetsToWire(requests, report) }).head;
}
