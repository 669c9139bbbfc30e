/**
 * Questions of readers, and of a server that copies from its peer, with their answers as messages. The end that sends a
 * question chooses its number; the answer has the same number. The message table defines the answer to each question.
 */
import { decodeMessage, type EncodedMessage, encodeMessage } from './codec.js';
import type { MessageRow } from './message-row.js';
import {
  type AnsweredMessage,
  type AnswerTo,
  type AnyQuestion,
  type Body,
  type CopyQuestion,
  type Head,
  type MessageName,
  MESSAGES,
  type QuestionName,
} from './messages.js';

/** A question or an answer: its content, and the number of the question. */
interface Numbered<N extends MessageName> {
  readonly number: number;
  readonly body: Body<N>;
}

/** True if a message is a reader's question. */
export function isQuestion(name: MessageName): name is QuestionName {
  const { part, direction, answer }: MessageRow = MESSAGES[name];
  return part === 'reading' && direction === 'to-server' && answer !== undefined;
}

/** True if a message is a question of a server to the peer whose client it copies. */
export function isCopyQuestion(name: MessageName): name is CopyQuestion {
  const { part, direction, answer }: MessageRow = MESSAGES[name];
  return part === 'copying' && direction === 'to-client' && answer !== undefined;
}

/** Returns the name of the message that answers another one. */
export function answerTo<N extends AnyQuestion | AnsweredMessage>(name: N): AnswerTo<N> {
  const { answer } = MESSAGES[name];
  return answer;
}

/** Encodes a question or an answer. */
export function encodeNumbered<N extends MessageName>(
  name: N,
  number: number,
  body: Body<N>,
): EncodedMessage {
  const { attachment, ...fields }: { attachment?: Buffer } = body;
  return encodeMessage(name, { question: number, ...fields } as unknown as Head<N>, attachment);
}

/** Decodes a question or an answer. Throws PROTOCOL_VIOLATION if it is malformed. */
export function decodeNumbered<N extends MessageName>(name: N, bytes: Uint8Array): Numbered<N> {
  const { head, attachment } = decodeMessage(name, bytes);
  const { question: number, ...fields } = head as unknown as { question: number };
  const body = MESSAGES[name].hasAttachment ? { ...fields, attachment } : fields;
  return { number, body: body as unknown as Body<N> };
}
