/**
 * The identity of a client at a place (a store on this machine, or a server): whether it encrypts, and with which
 * keys. This machine remembers the identity of a new client, and compares it at each later use. So a swapped store, or
 * a server that omits the keys, is rejected. Disks that are used in turns at one place have a client each there: a
 * further one is remembered beside the others, once the user has accepted it. See docs/inside/threat-model.md, "The
 * identity of a client".
 */
import { formerIds, type KeyRecord, type MasterKey } from '../index.js';
import { TardisError } from '../../errors/index.js';
import { displayLine, jsonFields } from '../../model/index.js';
import { cachePath, readState, stateName, statePath, writeState } from '../../system/index.js';

/** The place of a client, as the user names it. */
interface ClientPlace {
  /**
   * Names of the place: `store PATH`, `bucket URL` or `server HOST:PORT`. A store that is reached through a link has
   * two names, the given path and the real path. An identity is remembered under each, so that a changed link is
   * detected.
   */
  readonly places: readonly [string, ...string[]];
  readonly client: string;
}

interface IdentityOptions {
  /** True if the user accepts an identity other than the remembered ones. It is then remembered beside them. */
  readonly trustsChange: boolean;
  /** Prints a line for the user. */
  report(line: string): void;
}

interface Remembered {
  readonly place: string;
  readonly client: string;
  readonly keys: KnownKeys;
}

/** Ids of the keys of the clients that the user has accepted at a place, in hexadecimal; empty if the client does not encrypt. */
type KnownKeys = readonly string[];

const FORM = 1;
const KEY_ID = /^[0-9a-f]{32}$/;
/** Maximum number of clients of one name that are remembered for a place; the one that was accepted first is forgotten. */
const MAX_KNOWN = 16;
const PRINT_KEYS = 'print the keys with `sonic keys --pdf FILE`';
const KEEP_PASSWORD = `Without the password nobody can restore it: keep the password safe, and ${PRINT_KEYS}.`;

export class KnownClient {
  constructor(
    private readonly at: ClientPlace,
    private readonly options: IdentityOptions,
  ) {}

  /** Remembers a client that this machine has just created, beside others that are remembered for its place. */
  made(record: KeyRecord): void {
    const id = idOf(record);
    const others = this.read(false)
      .flat()
      .filter((one) => one !== id);
    this.write(id);
    if (others.length > 0) {
      this.report(
        `this machine remembered another client here (${shownKeyIds(others)}): if you did not remove it or exchange the disk, the store was replaced`,
      );
    }
    if (id === null) return;
    this.report(`created with the key id ${shownKeyId(id)}. ${KEEP_PASSWORD}`);
  }

  /**
   * Compares a client with the remembered identity, and remembers it. Call it after the password has opened the key
   * record. Keys that list the remembered ones as their predecessors are accepted. Unless the user accepts any change,
   * throws KEYS_CHANGED for other keys, ENCRYPTION_GONE if the client encrypted before, and MEMORY_DAMAGED if the file
   * with the remembered identity is damaged.
   */
  meet(record: KeyRecord, keys: readonly MasterKey[]): void {
    if (record.isEncrypting) this.rememberKeys(record, keys);
    else this.rememberPlain();
  }

  /** Compares like `meet` but remembers nothing, for a run that may still be refused. Throws the same errors. */
  compare(record: KeyRecord, keys: readonly MasterKey[]): void {
    if (record.isEncrypting) this.knownBefore(idOf(record)!, keys);
    else this.requirePlain();
  }

  /**
   * True if a record has the remembered keys, so that it need not be opened for a comparison. Throws MEMORY_DAMAGED as
   * `meet` does.
   */
  isKnown(record: KeyRecord | undefined): boolean {
    const known = this.read();
    const id = idOf(record);
    return known.length > 0 && known.every((keys) => isAmong(keys, id));
  }

  /**
   * Returns a message if the client's keys are not the remembered ones, for a run without the password. Only with the
   * password can the predecessors of the keys be checked. Returns undefined if the keys match or the user accepts the
   * change. Throws MEMORY_DAMAGED as `meet` does.
   */
  unprovenKeys(record: KeyRecord): string | undefined {
    const id = idOf(record);
    const known = this.read();
    if (this.trustsChange || known.every((keys) => keys.length === 0 || isAmong(keys, id)))
      return undefined;
    return `${this.name} has other keys (key id ${shownKeyId(id)}) than this machine remembers (${shownKeyIds(known.flat())}): the password is needed to check whether they replaced those`;
  }

  /** True if this machine remembers keys of the client. Throws MEMORY_DAMAGED as `meet` does. */
  get isKnownToEncrypt(): boolean {
    return this.read().some((keys) => keys.length > 0);
  }

  /** True if the user accepts the store as it is now. */
  get trustsChange(): boolean {
    return this.options.trustsChange;
  }

  /** Returns true if an older state of the store is accepted, and then warns the user with `what`. */
  acceptsOlder(what: string): boolean {
    if (this.trustsChange) this.report(`${what}; it is taken as it is now`);
    return this.trustsChange;
  }

  /**
   * Returns the remembered key ids. Throws KEYS_CHANGED if the keys with this id are not among them, and have replaced
   * none of them, unless the user accepts the change.
   */
  private knownBefore(id: string, keys: readonly MasterKey[]): readonly KnownKeys[] {
    const known = this.read();
    const other = known.find((one) => one.length > 0 && !follows(one, id, keys));
    if (other !== undefined && !this.options.trustsChange) throw this.changed(other, id);
    return known;
  }

  private rememberKeys(record: KeyRecord, keys: readonly MasterKey[]): void {
    const id = idOf(record)!;
    const known = this.knownBefore(id, keys);
    const isNew = known.length === 0;
    const isSame = known.every((one) => isAmong(one, id));
    if (!isSame || known.length < this.at.places.length) this.write(id, shownFormerIds(keys));
    if (isSame && !isNew) return;
    this.report(this.firstWords(known, id, keys));
  }

  /** Returns the message for the user about keys that are new on this machine. */
  private firstWords(known: readonly KnownKeys[], id: string, keys: readonly MasterKey[]): string {
    const shown = shownKeyId(id);
    const sheet = 'Compare it with your printed sheet, if you have one.';
    if (known.length === 0) return `first time on this machine, with the key id ${shown}. ${sheet}`;
    if (known.every((one) => one.length === 0)) {
      return `encrypts now, with the key id ${shown}. ${KEEP_PASSWORD}`;
    }
    if (!known.every((one) => follows(one, id, keys))) {
      const beside = shownKeyIds(known.flat());
      return `accepted with the key id ${shown}, beside what this machine remembers here (${beside}). ${sheet}`;
    }
    return `has new keys, with the key id ${shown}, in place of those that this machine knew. Sheets and key files of the old keys no longer open this client: ${PRINT_KEYS}.`;
  }

  /**
   * Compares a client that does not encrypt with the remembered identity, and remembers it. Throws ENCRYPTION_GONE if
   * keys are remembered, unless the user accepts the change.
   */
  rememberPlain(): void {
    const known = this.read();
    const keys = this.keysIn(known);
    if (known.length === this.at.places.length && keys === undefined) return;
    this.write(null);
    if (keys !== undefined) this.report('no longer encrypts');
  }

  /**
   * Compares like `rememberPlain` but remembers nothing, and throws the same errors. It is used if the run is refused
   * or may still be, and if the server has not shown the client's key record. `how` is the reason that the client does
   * not encrypt.
   */
  requirePlain(how?: string): void {
    this.keysIn(this.read(), how);
  }

  /**
   * Returns the remembered key id of a client that does not encrypt; undefined if there is none. Throws
   * ENCRYPTION_GONE if there is one, unless the user accepts the change.
   */
  private keysIn(
    known: readonly KnownKeys[],
    how: string = 'does not encrypt',
  ): string | undefined {
    const keys = known.find((one) => one.length > 0)?.[0];
    if (keys !== undefined && !this.options.trustsChange) {
      throw new TardisError(
        'ENCRYPTION_GONE',
        `${this.name} ${how}, and had the key id ${shownKeyId(keys)} when this machine saw it last`,
      );
    }
    return keys;
  }

  private changed(known: KnownKeys, id: string): TardisError {
    return new TardisError(
      'KEYS_CHANGED',
      `${this.name} has other keys (key id ${shownKeyId(id)}) than this machine remembers (${shownKeyIds(known)})`,
    );
  }

  private get name(): string {
    const { places, client } = this.at;
    return `the client "${client}" (${displayLine(places[0])})`;
  }

  /** Warns the user about this client. */
  warn(text: string): void {
    this.options.report(`warning: ${this.name}: ${text}`);
  }

  private report(text: string): void {
    this.options.report(`${this.name}: ${text}`);
  }

  /**
   * Returns the remembered key ids, a list for each name of the place that has one. Ignores damaged files, or throws
   * MEMORY_DAMAGED for them if `isStrict`.
   */
  private read(isStrict = !this.options.trustsChange): KnownKeys[] {
    return this.at.places.flatMap((place) => {
      const keys = this.readOne(place, isStrict);
      return keys === undefined ? [] : [keys];
    });
  }

  private readOne(place: string, isStrict: boolean): KnownKeys | undefined {
    const file = this.fileOf(place);
    const text = readState(file);
    const remembered = text === undefined ? undefined : this.rememberedIn(text, place);
    if (text === undefined || remembered !== undefined || !isStrict) return remembered?.keys;
    throw new TardisError(
      'MEMORY_DAMAGED',
      `${file}, in which this machine remembers ${this.name}, is damaged`,
    );
  }

  private rememberedIn(text: string, place: string): Remembered | undefined {
    const fields = jsonFields(text) as Partial<Remembered> & { form?: number };
    const { form, client, keys, ...other } = fields;
    const isOurs = form === FORM && other.place === place && client === this.at.client;
    const isId = (one: unknown): boolean => typeof one === 'string' && KEY_ID.test(one);
    return isOurs && Array.isArray(keys) && keys.every(isId) ? { place, client, keys } : undefined;
  }

  /**
   * Remembers a client at its place: beside others if it encrypts, without those that its keys have replaced; instead
   * of all if it does not encrypt.
   */
  private write(id: string | null, replaced: KnownKeys = []): void {
    const { places, client } = this.at;
    for (const place of places) {
      const file = this.fileOf(place);
      const known = this.readOne(place, false) ?? [];
      const others = known.filter((one) => one !== id && !replaced.includes(one));
      const keys = id === null ? [] : [id, ...others].slice(0, MAX_KNOWN);
      const code = writeState(file, `${JSON.stringify({ form: FORM, place, client, keys })}\n`);
      if (code === undefined) continue;
      this.warn(
        `its keys are not remembered: ${file}: ${code}; a store that is swapped would not show [MEMORY_NOT_WRITTEN]`,
      );
    }
  }

  /** Returns the path of a cache of this machine about the client at this place. */
  cacheFile(folder: string): string {
    return cachePath(folder, this.nameOf(this.at.places[0]));
  }

  private fileOf(place: string): string {
    return statePath('clients', `${this.nameOf(place)}.json`);
  }

  private nameOf(place: string): string {
    return stateName(place, this.at.client);
  }
}

/** Returns the id of the keys in hexadecimal; null for a client that does not encrypt. */
function idOf(record: KeyRecord | undefined): string | null {
  return record?.isEncrypting === true ? record.keysetId.toString('hex') : null;
}

/** True if the remembered identity is that of a client with these keys, or of one that does not encrypt (null). */
function isAmong(known: KnownKeys, id: string | null): boolean {
  return id === null ? known.length === 0 : known.includes(id);
}

/** True if the keys with this id are among the remembered ones, or have replaced one of them. */
function follows(known: KnownKeys, id: string, keys: readonly MasterKey[]): boolean {
  return known.includes(id) || shownFormerIds(keys).some((one) => known.includes(one));
}

function shownKeyIds(ids: KnownKeys): string {
  return [...new Set(ids)].map(shownKeyId).join(', ');
}

/** Returns a key id for display: four groups of eight characters. */
export function shownKeyId(id: string | null): string {
  return id === null ? 'none' : id.replace(/(.{8})(?=.)/g, '$1 ');
}

/** Returns the ids of the key sets that these keys have replaced, in hexadecimal. */
function shownFormerIds(keys: readonly MasterKey[]): string[] {
  return formerIds(keys).map((one) => one.toString('hex'));
}
