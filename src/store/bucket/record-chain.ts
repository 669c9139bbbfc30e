/**
 * A chain of numbered objects in a bucket, for small facts that several machines read and change. Only the newest
 * object is valid. A change creates the object with the next number, so of two concurrent changes one succeeds, and the
 * other begins again. No object is replaced or removed. Each has the SHA-256 of the one before it, so a machine that
 * has read an object detects that the chain was replaced.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { ObjectStore } from '../objects/index.js';
import { chainedNumber, chainedObject } from '../layout/bucket-names.js';

const VERSION = 1;
const MAX_NUMBER = 9_999_999_999;
/** Maximum number of objects that are read one after another; beyond that, a list finds the newest one. */
const MAX_STEPS = 32;
/** Maximum number of objects in a list. */
const MAX_LISTED = 1_000_000;
const ID_BYTES = 8;

export interface ChainRecord {
  readonly number: number;
  readonly bytes: Buffer;
  /** SHA-256 of the object before it, in hexadecimal; empty for the first one. */
  readonly previous: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface ChainPlace {
  /** Prefix of the names of the objects. */
  readonly prefix: string;
  readonly maxBytes: number;
}

/**
 * Parses an object. `name` is its name in errors. Throws ACCOUNTS_DAMAGED if it has a wrong shape, STORE_NEWER if it
 * has a newer version.
 */
export function parseChained(bytes: Buffer, name: string): ChainRecord {
  let parsed: Readonly<Record<string, unknown>> | null;
  try {
    parsed = JSON.parse(bytes.toString('utf8')) as typeof parsed;
  } catch (error) {
    throw damaged(name, 'is no JSON', error);
  }
  const { version, number, previous, body } = parsed ?? {};
  if (typeof version === 'number' && version > VERSION) {
    throw new TardisError('STORE_NEWER', `the object ${name} has version ${version}`);
  }
  const isNumbered = Number.isInteger(number) && Number(number) > 0 && Number(number) <= MAX_NUMBER;
  const isChained = typeof previous === 'string' && /^(?:[0-9a-f]{64})?$/.test(previous);
  if (version !== VERSION || !isNumbered || !isChained || typeof body !== 'object' || !body) {
    throw damaged(name, 'has a wrong shape');
  }
  return { number: Number(number), bytes, previous, body: body as ChainRecord['body'] };
}

export function damaged(name: string, what: string, cause?: unknown): TardisError {
  return new TardisError('ACCOUNTS_DAMAGED', `the object ${name} ${what}`, { object: name }, cause);
}

export class RecordChain {
  constructor(
    private readonly store: ObjectStore,
    private readonly place: ChainPlace,
  ) {}

  /**
   * Returns the newest object after `known`; `known` itself, which may be undefined, if there is none. Takes one
   * request if nothing is new. Throws ACCOUNTS_DAMAGED if an object is damaged, or if the objects after `known` belong
   * to another history.
   */
  async follow(known: ChainRecord | undefined): Promise<ChainRecord | undefined> {
    let at = known;
    for (let steps = 0; steps < MAX_STEPS; steps += 1) {
      const next = await this.read((at?.number ?? 0) + 1);
      if (next === undefined) return at;
      if (at === undefined) {
        at = await this.listed(next); // most of the earlier ones are of no use
        continue;
      }
      if (next.previous !== hashOf(at.bytes)) {
        throw damaged(this.nameOf(next.number), 'does not follow the one before it');
      }
      at = next;
    }
    return this.listed(at);
  }

  /**
   * Returns the newest object, for a change; undefined if there is none. Throws ACCOUNTS_DAMAGED if `known` is gone or
   * was replaced, and in the cases of `follow`.
   */
  async newest(known: ChainRecord | undefined): Promise<ChainRecord | undefined> {
    if (known !== undefined) {
      const there = await this.read(known.number);
      const name = this.nameOf(known.number);
      if (there === undefined) throw damaged(name, 'is gone, which this machine knows');
      if (!there.bytes.equals(known.bytes)) throw damaged(name, 'was replaced');
      return this.follow(known);
    }
    // A lost first object must not hide the later ones.
    return this.follow(await this.listed(undefined));
  }

  /**
   * Creates the object after `before`. Returns undefined if another machine has created it. Throws NOT_PERMITTED if it
   * would be too large.
   */
  async append(
    before: ChainRecord | undefined,
    body: ChainRecord['body'],
    { random }: Pick<System, 'random'>,
  ): Promise<ChainRecord | undefined> {
    const number = (before?.number ?? 0) + 1;
    const previous = before === undefined ? '' : hashOf(before.bytes);
    const id = random.bytes(ID_BYTES).toString('hex'); // no two writers have equal bytes
    const text = JSON.stringify({ version: VERSION, number, previous, id, body });
    const bytes = Buffer.from(`${text}\n`);
    if (bytes.length > this.place.maxBytes) {
      throw new TardisError(
        'NOT_PERMITTED',
        `the object has more than ${this.place.maxBytes} bytes`,
      );
    }
    const made = await this.store.putNew(this.nameOf(number), bytes);
    return made === 'created' ? { number, bytes, previous, body } : undefined;
  }

  private async read(number: number): Promise<ChainRecord | undefined> {
    const name = this.nameOf(number);
    const bytes = await this.store.readWhole(name, this.place.maxBytes);
    if (bytes === undefined) return undefined;
    const record = parseChained(bytes, name);
    if (record.number !== number) throw damaged(name, 'has the number of another one');
    return record;
  }

  /**
   * Lists the objects and returns the newest; `at`, which may be undefined, if none is later. Throws ACCOUNTS_DAMAGED
   * if the newest object is damaged, or there are too many.
   */
  private async listed(at: ChainRecord | undefined): Promise<ChainRecord | undefined> {
    const { prefix } = this.place;
    const from = at?.number ?? 0;
    let [highest, listed] = [from, 0];
    for await (const name of this.store.list(prefix, this.nameOf(from))) {
      highest = Math.max(highest, chainedNumber(prefix, name) ?? 0);
      listed += 1;
      if (listed > MAX_LISTED) throw damaged(name, 'is one of too many');
    }
    if (highest === from) return at;
    const newest = await this.read(highest);
    if (newest === undefined)
      throw damaged(this.nameOf(highest), 'is in a list, and cannot be read');
    return newest;
  }

  private nameOf(number: number): string {
    return chainedObject(this.place.prefix, number);
  }
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
