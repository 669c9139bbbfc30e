/**
 * Manipulations of one message by a hostile server: it omits, repeats, delays, reorders or forges the message, or
 * replaces it with one of another client or of an older state.
 */
import { decodeMessage, encodeMessage, type MessageName } from '../../src/transport/index.js';
import type { Lie } from './lying-server.js';

/** Messages of honest sessions, by name, as they were sent. */
export type Recorded = ReadonlyMap<MessageName, readonly Buffer[]>;

/** One lie: the manipulation, and the message of a session, by its number among those of its name. */
export interface LieCase {
  readonly verb: Verb;
  readonly name: MessageName;
  readonly nth: number;
}

export const VERBS = [
  'omit',
  'repeat',
  'reorder',
  'delay',
  'forge',
  'swap clients',
  'take back',
] as const;
export type Verb = (typeof VERBS)[number];

/** Number of messages that overtake a delayed one. */
const DELAYED_BY = 4;
const ENVELOPE_BYTES = 8;

/** Returns a lie that forwards every message unchanged and records it. */
export function recorder(): { readonly lie: Lie; readonly recorded: Recorded } {
  const recorded = new Map<MessageName, Buffer[]>();
  const lie: Lie = (name, bytes) => {
    recorded.set(name, [...(recorded.get(name) ?? []), Buffer.from(bytes)]);
    return [bytes];
  };
  return { lie, recorded };
}

/** The other sessions whose messages a lie can use. */
export interface Others {
  readonly client: Recorded;
  readonly older: Recorded;
}

/** Returns the lie of a case; `hasLied` returns true once it was applied. */
export function lieOf(
  { verb, name, nth }: LieCase,
  others: Others,
  random: () => number,
): { readonly lie: Lie; readonly hasLied: () => boolean } {
  let seen = 0;
  let held: Buffer | undefined;
  let heldFor = 0;
  let hasLied = false;
  const hold = (bytes: Buffer, messages: number): readonly Buffer[] => {
    [held, heldFor] = [Buffer.from(bytes), messages];
    return [];
  };
  const strike = (bytes: Buffer): readonly Buffer[] => {
    hasLied = true;
    if (verb === 'omit') return [];
    if (verb === 'repeat') return [bytes, Buffer.from(bytes)];
    if (verb === 'reorder') return hold(bytes, 1);
    if (verb === 'delay') return hold(bytes, DELAYED_BY);
    if (verb === 'forge') return [forged(bytes, random)];
    const from = (verb === 'swap clients' ? others.client : others.older).get(name) ?? [];
    const other = from[Math.min(nth, from.length - 1)];
    hasLied = other !== undefined;
    return [other === undefined ? bytes : inPlaceOf(name, other, bytes)];
  };
  const lie: Lie = (reported, bytes) => {
    if (held !== undefined && (heldFor -= 1) === 0) {
      const late = held;
      held = undefined;
      return [bytes, late];
    }
    if (reported !== name) return [bytes];
    seen += 1;
    return seen === nth + 1 ? strike(bytes) : [bytes];
  };
  return { lie, hasLied: () => hasLied };
}

/** Returns a copy with one flipped bit after the envelope. */
function forged(bytes: Buffer, random: () => number): Buffer {
  const other = Buffer.from(bytes);
  if (other.length === ENVELOPE_BYTES) return other;
  const at = ENVELOPE_BYTES + Math.floor(random() * (other.length - ENVELOPE_BYTES));
  other[at]! ^= 1 << Math.floor(random() * 8);
  return other;
}

/** Returns the other message with the identifying fields of the honest one, as an answer to the same question. */
function inPlaceOf<N extends MessageName>(name: N, other: Buffer, bytes: Buffer): Buffer {
  const [reported, honest] = [decodeMessage(name, other), decodeMessage(name, bytes)];
  const head = { ...reported.head };
  for (const field of ['question', 'set', 'upTo', 'slot', 'slots'] as const) {
    if (field in honest.head) Object.assign(head, { [field]: honest.head[field as never] });
  }
  const { head: encoded } = encodeMessage(name, head);
  return Buffer.concat([encoded, reported.attachment]);
}
