/** Keys of a client that a store of Tardis (Python) encrypts: their derivation from the password, names, and contents. */
import {
  createDecipheriv,
  createHash,
  createHmac,
  type Hash,
  type Hmac,
  pbkdf2Sync,
  scryptSync,
  timingSafeEqual,
} from 'node:crypto';
import { TardisError } from '../../errors/index.js';
import { openSiv } from './siv.js';

const KEY_BYTES = 32;
const BLOCK_BYTES = 16;
const STRETCH_ROUNDS = 20_000;
/** Memory and work of scrypt, as the original has them: 64 MiB. */
const SCRYPT = { N: 65_536, r: 8, p: 1, maxmem: 128 << 20 } as const;
const MAX_SCHEME = 4;

/** The encrypted keys of a client and the number of its scheme, as its configuration has them. */
export interface SealedKeys {
  readonly scheme: number;
  readonly contentKey: string;
  readonly nameKey: string;
}

/** The layout of an encrypted content: vector, encrypted bytes, tag. */
interface ContentForm {
  readonly cipher: 'aes-256-cbc' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly vectorBytes: number;
  readonly tagBytes: number;
}

const CBC: ContentForm = { cipher: 'aes-256-cbc', vectorBytes: BLOCK_BYTES, tagBytes: 64 };
const FORMS: readonly ContentForm[] = [
  CBC,
  CBC,
  { cipher: 'aes-256-gcm', vectorBytes: BLOCK_BYTES, tagBytes: 16 },
  { cipher: 'chacha20-poly1305', vectorBytes: 12, tagBytes: 16 },
];

/** The form of one encrypted content. */
export interface SealedForm {
  readonly storedBytes: number;
  readonly hasTag: boolean;
}

/** Decrypts what is read of one store; of a store in clear, all passes through. */
export interface StoreKeys {
  /** Returns a name, or undefined if it is not authentic. */
  name(stored: Buffer): Buffer | undefined;
  /** Starts the digest by which a content is named. */
  digest(): Hash | Hmac;
  /**
   * Yields a decrypted content. Throws IMPORT_SOURCE_DAMAGED at its end if it is not authentic. Without a tag, only its
   * digest proves it, which is keyed too.
   */
  opened(stored: AsyncIterable<Buffer>, form: SealedForm): AsyncGenerator<Buffer>;
}

export const KEYS_OF_CLEAR: StoreKeys = {
  name: (stored) => stored,
  digest: () => createHash('md5'),
  opened: () => {
    throw new TardisError('IMPORT_SOURCE_DAMAGED', 'an encrypted content in a store without keys');
  },
};

/**
 * Opens the keys with a password; `client` is the name of the directory, from which the original makes the salt. Throws
 * LOGIN_FAILED for a wrong one, and IMPORT_SOURCE_UNKNOWN for an unknown scheme. `looksRight` is true if names
 * that these keys decrypt look right, since keys of scheme 1 are not authenticated.
 */
export function openKeys(
  sealed: SealedKeys,
  password: Buffer,
  client: string,
  looksRight: (keys: StoreKeys) => boolean,
): StoreKeys {
  const { scheme } = sealed;
  if (!(scheme >= 1 && scheme <= MAX_SCHEME)) {
    throw new TardisError(
      'IMPORT_SOURCE_UNKNOWN',
      `the store is encrypted by an unknown scheme, ${scheme}`,
    );
  }
  const salt = createHash('sha256').update(client).digest();
  const content = Buffer.from(sealed.contentKey, 'base64');
  const name = Buffer.from(sealed.nameKey, 'base64');
  const plain =
    scheme === 1 ? unwrapped(content, name, password, salt) : opened(content, name, password, salt);
  const keys =
    plain && new EncryptedKeys(FORMS[scheme - 1]!, plain.content, plain.name, scheme === 1);
  if (keys === undefined || !looksRight(keys)) {
    const why = `the password is wrong, or the directory had another name than "${client}", which is part of its key`;
    throw new TardisError('LOGIN_FAILED', `the keys of the store cannot be opened: ${why}`);
  }
  return keys;
}

interface PlainKeys {
  readonly content: Buffer;
  readonly name: Buffer;
}

function unwrapped(
  content: Buffer,
  name: Buffer,
  password: Buffer,
  salt: Buffer,
): PlainKeys | undefined {
  if (content.length !== KEY_BYTES || name.length !== KEY_BYTES) return undefined;
  const key = pbkdf2Sync(password, salt, STRETCH_ROUNDS, 2 * KEY_BYTES, 'sha1');
  const open = (bytes: Buffer) => decrypted(key.subarray(0, KEY_BYTES), bytes);
  return { content: open(content), name: open(name) };
}

function opened(
  content: Buffer,
  name: Buffer,
  password: Buffer,
  salt: Buffer,
): PlainKeys | undefined {
  const key = scryptSync(password, salt, KEY_BYTES, SCRYPT);
  const contentKey = openSiv(key, content, Buffer.from('ContentKey'));
  const nameKey = openSiv(key, name, Buffer.from('FilenameKey'));
  const isWhole =
    contentKey?.length === KEY_BYTES && [KEY_BYTES, 2 * KEY_BYTES].includes(nameKey?.length ?? 0);
  return isWhole ? { content: contentKey, name: nameKey! } : undefined;
}

function decrypted(key: Buffer, bytes: Buffer): Buffer {
  const cipher = createDecipheriv('aes-256-ecb', key, null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

class EncryptedKeys implements StoreKeys {
  constructor(
    private readonly form: ContentForm,
    private readonly contentKey: Buffer,
    private readonly nameKey: Buffer,
    private readonly isOldName: boolean,
  ) {}

  name(stored: Buffer): Buffer | undefined {
    const text = stored.toString('latin1').replaceAll('#', '+').replaceAll('@', '/');
    const bytes = Buffer.from(text, 'base64');
    if (!this.isOldName) return openSiv(this.nameKey, bytes);
    if (bytes.length === 0 || bytes.length % BLOCK_BYTES !== 0) return undefined;
    const name = decrypted(this.nameKey, bytes);
    let end = name.length;
    while (end > 0 && name[end - 1] === 0) end -= 1;
    return name.subarray(0, end);
  }

  digest(): Hmac {
    return createHmac('md5', this.contentKey);
  }

  async *opened(
    stored: AsyncIterable<Buffer>,
    { storedBytes, hasTag }: SealedForm,
  ): AsyncGenerator<Buffer> {
    const { vectorBytes } = this.form;
    const tagBytes = hasTag ? this.form.tagBytes : 0;
    const textBytes = storedBytes - vectorBytes - tagBytes;
    if (textBytes < 0) throw notAuthentic();
    let head = Buffer.alloc(0);
    let tail = Buffer.alloc(0);
    let job: DecryptingJob | undefined;
    let leftBytes = textBytes;
    for await (const chunk of stored) {
      let rest = chunk;
      if (job === undefined) {
        head = Buffer.concat([head, rest]);
        if (head.length < vectorBytes) continue;
        job = this.job(head.subarray(0, vectorBytes));
        rest = head.subarray(vectorBytes);
      }
      const text = rest.subarray(0, leftBytes);
      leftBytes -= text.length;
      tail = Buffer.concat([tail, rest.subarray(text.length)]);
      if (tail.length > tagBytes) throw notAuthentic();
      const plain = job.update(text);
      if (plain.length > 0) yield plain;
    }
    if (job === undefined || leftBytes > 0 || tail.length !== tagBytes) throw notAuthentic();
    const last = job.finish(tail);
    if (last.length > 0) yield last;
  }

  private job(vector: Buffer): DecryptingJob {
    const { contentKey, form } = this;
    if (form.cipher === 'aes-256-cbc') return cbcJob(contentKey, vector);
    return aeadJob(form.cipher, contentKey, vector);
  }
}

interface DecryptingJob {
  update(bytes: Buffer): Buffer;
  /** Returns the rest. Throws IMPORT_SOURCE_DAMAGED unless the tag proves all bytes; an empty one proves nothing. */
  finish(tag: Buffer): Buffer;
}

function cbcJob(key: Buffer, vector: Buffer): DecryptingJob {
  const cipher = createDecipheriv('aes-256-cbc', key, vector);
  // Releases from 1.3.10 on authenticate the vector twice.
  const macs = [1, 2].map((times) => {
    const mac = createHmac('sha512', key);
    for (let time = 0; time < times; time += 1) mac.update(vector);
    return mac;
  });
  return {
    update: (bytes) => {
      for (const mac of macs) mac.update(bytes);
      return cipher.update(bytes);
    },
    finish: (tag) => {
      const isRight =
        tag.length === 0 || macs.map((mac) => timingSafeEqual(mac.digest(), tag)).includes(true);
      if (!isRight) throw notAuthentic();
      return final(() => cipher.final());
    },
  };
}

function aeadJob(
  name: 'aes-256-gcm' | 'chacha20-poly1305',
  key: Buffer,
  vector: Buffer,
): DecryptingJob {
  const cipher =
    name === 'aes-256-gcm'
      ? createDecipheriv(name, key, vector)
      : createDecipheriv(name, key, vector, { authTagLength: 16 });
  cipher.setAAD(vector, { plaintextLength: 0 });
  return {
    update: (bytes) => cipher.update(bytes),
    finish: (tag) => {
      if (tag.length === 0) return tag;
      cipher.setAuthTag(tag);
      return final(() => cipher.final());
    },
  };
}

function final(finish: () => Buffer): Buffer {
  try {
    return finish();
  } catch (error) {
    throw notAuthentic(error);
  }
}

function notAuthentic(cause?: unknown): TardisError {
  return new TardisError(
    'IMPORT_SOURCE_DAMAGED',
    'an encrypted content is not authentic',
    {},
    cause,
  );
}
