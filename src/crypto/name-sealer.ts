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

  owner(name: Uint8Array): Buffer {
    return name.length === 0 ? Buffer.alloc(0) : this.seal(Label.owner, name);
  }

  openOwner(sealed: Buffer): Buffer {
    return sealed.length === 0 ? sealed : this.open(Label.owner, sealed, 'the name of an owner');
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

function joined(names: readonly Buffer[]): Buffer {
  if (names.length === 0) return SLASH;
  return Buffer.concat(names.flatMap((name) => [SLASH, name]));
}

function forged(what: string): TardisError {
  return new TardisError('NOT_AUTHENTIC', `${what} was not sealed with the keys of this client`);
}
