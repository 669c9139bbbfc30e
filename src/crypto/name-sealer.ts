/**
 * Names and what else of metadata is secret, as a server sees them: sealed so that equal ones stay equal,
 * since it compares them. What comes from a server is opened here, and refused if it was not sealed so.
 */
import { TardisError } from '../errors/index.js';
import { splitPath } from '../model/index.js';
import type { SealingCalls } from '../system/index.js';

/**
 * What kind of thing is sealed: one cannot be taken for another. 1 and 2 are link targets and attributes, in
 * the addon.
 */
const Label = { name: 0, owner: 3, text: 4, device: 5 } as const;
const NO_KEYS = new Uint8Array(0);
const SLASH = Buffer.from('/');
/** Texts that are sealed begin with this; what a server makes up does not. */
const SEALED_TEXT = '~';

/** A name, and the number it stands for. */
interface Owner {
  readonly isGroup: boolean;
  readonly id: number;
  readonly name: Uint8Array;
}

export class NameSealer {
  private readonly calls: SealingCalls;
  private readonly keys: Uint8Array;

  /** `keys`: SEAL_KEYS_BYTES of them. */
  constructor(calls: SealingCalls, keys: Uint8Array) {
    this.calls = calls;
    this.keys = keys;
  }

  /** Rows that are not final, with names and link targets sealed. */
  rows(rows: Uint8Array): Buffer {
    return this.calls.sealRows(this.keys, rows, NO_KEYS, NO_KEYS);
  }

  name(name: Uint8Array): Buffer {
    return this.seal(Label.name, name);
  }

  openName(sealed: Uint8Array): Buffer {
    return this.open(Label.name, sealed, 'a name');
  }

  /** Each name of an absolute path by itself, so that what is below something stays below it. */
  path(path: Buffer): Buffer {
    return joined(splitPath(path).map((name) => this.name(name)));
  }

  openPath(sealed: Buffer): Buffer {
    return joined(splitPath(sealed).map((name) => this.openName(name)));
  }

  /** Sealed with whose name it is: else a store could give the files of one to another. */
  owner({ isGroup, id, name }: Owner): Buffer {
    if (name.length === 0) return Buffer.alloc(0);
    return this.seal(Label.owner, Buffer.concat([ownerHead(isGroup, id), name]));
  }

  openOwner({ isGroup, id, name: sealed }: Owner): Buffer {
    if (sealed.length === 0) return Buffer.alloc(0);
    const opened = this.open(Label.owner, sealed, 'the name of an owner');
    const head = ownerHead(isGroup, id);
    if (!opened.subarray(0, head.length).equals(head)) throw forged('the name of an owner');
    return opened.subarray(head.length);
  }

  /** As text in one line; an empty one stays empty. */
  text(text: string): string {
    if (text === '') return '';
    return SEALED_TEXT + this.seal(Label.text, Buffer.from(text)).toString('base64url');
  }

  /** What a server made up, such as the name of a set, stays as it is. */
  openText(text: string): string {
    if (!text.startsWith(SEALED_TEXT)) return text;
    const sealed = Buffer.from(text.slice(SEALED_TEXT.length), 'base64url');
    return this.open(Label.text, sealed, 'a text').toString();
  }

  /** What stands for a device: it is only ever compared. */
  device(device: string): string {
    if (device === '') return '';
    return this.seal(Label.device, Buffer.from(device)).toString('base64url');
  }

  /** Undefined for one that was cut off: it was long. */
  openDevice(sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64url');
    return this.calls.openBytes(this.keys, Label.device, bytes)?.toString();
  }

  private seal(label: number, bytes: Uint8Array): Buffer {
    return this.calls.sealBytes(this.keys, label, bytes);
  }

  private open(label: number, sealed: Uint8Array, what: string): Buffer {
    const opened = this.calls.openBytes(this.keys, label, sealed);
    if (opened === undefined) throw forged(what);
    return opened;
  }
}

function ownerHead(isGroup: boolean, id: number): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isGroup ? 1 : 0;
  head.writeUInt32LE(id, 1);
  return head;
}

function joined(names: readonly Buffer[]): Buffer {
  if (names.length === 0) return SLASH;
  return Buffer.concat(names.flatMap((name) => [SLASH, name]));
}

function forged(what: string): TardisError {
  return new TardisError('NOT_AUTHENTIC', `${what} was not sealed with the keys of this client`);
}
