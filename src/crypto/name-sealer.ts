/**
 * Seals names and other secret metadata for the server. The server compares them, so equal values have equal seals.
 * Values from a server are opened here, and refused if they were not sealed with the client's keys.
 */
import { TardisError } from '../errors/index.js';
import { fileRootPath, pathBelow, SLASH_BYTES, splitPath, splitRoot } from '../model/index.js';
import type { SealingCalls } from '../system/index.js';

/**
 * The kind of a sealed value; a value of one kind cannot pass for another. The addon uses 1 for link targets and 2
 * for attributes.
 */
const Label = { name: 0, owner: 3, text: 4, device: 5, config: 6 } as const;
const NO_KEYS = new Uint8Array(0);
/** Prefix of sealed texts; texts that a server makes up do not have it. */
export const SEALED_TEXT = '~';

/** The name of a user or group, and its number. */
interface Owner {
  readonly isGroup: boolean;
  readonly id: number;
  readonly name: Uint8Array;
}

export class NameSealer {
  /** Creates a sealer. `keys` has SEAL_KEYS_BYTES bytes. */
  constructor(
    private readonly calls: SealingCalls,
    private readonly keys: Uint8Array,
  ) {}

  /**
   * Returns rows of listings or declared directories with their names and link targets sealed. They get no seals of
   * their own, since such rows are not final.
   */
  rows(rows: Uint8Array): Buffer {
    return this.calls.sealRows(this.keys, rows, NO_KEYS, NO_KEYS);
  }

  name(name: Uint8Array): Buffer {
    return this.seal(Label.name, name);
  }

  openName(sealed: Uint8Array): Buffer {
    return this.open(Label.name, sealed, 'a name');
  }

  /** Seals each name of an absolute path separately, so that paths below a sealed path still begin with it. */
  path(path: Buffer): Buffer {
    return eachName(path, (name) => this.name(name));
  }

  openPath(sealed: Buffer): Buffer {
    return eachName(sealed, (name) => this.openName(name));
  }

  /**
   * Seals the name of a user or group together with its number. Otherwise a store could give the files of one owner
   * to another.
   */
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

  /** Seals a text as one line; an empty text stays empty. */
  text(text: string): string {
    if (text === '') return '';
    return SEALED_TEXT + this.seal(Label.text, Buffer.from(text)).toString('base64url');
  }

  /**
   * Opens a sealed text. A text that is not sealed, such as a name of a set made by the server, is returned unchanged.
   */
  openText(text: string): string {
    if (!text.startsWith(SEALED_TEXT)) return text;
    const sealed = Buffer.from(text.slice(SEALED_TEXT.length), 'base64url');
    return this.open(Label.text, sealed, 'a text').toString();
  }

  /** Seals the packed configuration of a run. */
  config(packed: Uint8Array): Buffer {
    return this.seal(Label.config, packed);
  }

  openConfig(sealed: Uint8Array): Buffer {
    return this.open(Label.config, sealed, 'a configuration');
  }

  /** Seals a device number, which is only ever compared. */
  device(device: string): string {
    if (device === '') return '';
    return this.seal(Label.device, Buffer.from(device)).toString('base64url');
  }

  /**
   * Opens a sealed device number. Returns undefined if the value is invalid, which also happens if a long value was cut
   * off.
   */
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

/** Applies `change` to each name of a path. The mark of a root that is a single file stays where it is. */
function eachName(path: Buffer, change: (name: Buffer) => Buffer): Buffer {
  const { directory, below } = splitRoot(path);
  const above = pathBelow(SLASH_BYTES, splitPath(directory).map(change));
  const [name] = below;
  return name === undefined ? above : fileRootPath(above, change(name));
}

function forged(what: string): TardisError {
  return new TardisError('NOT_AUTHENTIC', `${what} was not sealed with the keys of this client`);
}
