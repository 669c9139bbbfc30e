/** Versions and locks of the objects of a bucket (S3). */
import { createHash } from 'node:crypto';
import { TardisError } from '../../../errors/index.js';
import { readXml, type XmlElement } from '../../../system/xml/index.js';
import { isListPrefix, isObjectKey, type ObjectSource } from '../object-store.js';
import type {
  Ability,
  BucketAbilities,
  ObjectVersion,
  ObjectVersions,
  VersionName,
} from '../object-versions.js';
import { textOf, listVersions } from './lists.js';
import { putAgain } from './put-new.js';
import { type RangeRead, READS, readRange } from './read-range.js';
import { invalidAnswer, type Requests } from './requests.js';

/** Number of bytes of a version that one request reads. */
const PIECE_BYTES = 8 << 20;
/** Maximum size of a version that is read only once and stays in memory until it is sent. */
const HELD_BYTES = 40 << 20;
const MAX_PROPERTY_BYTES = 64 << 10;
const MAX_PROPERTY_DEPTH = 6;
const XML_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const SHOWN_ID_CHARS = 40;

interface Checked {
  readonly bytes: Buffer | undefined;
  readonly sha256: string;
}

export class S3Versions implements ObjectVersions {
  private readonly before: string;

  /** Creates the access to versions. The parameters are those of `S3Store`. */
  constructor(
    private readonly requests: Requests,
    prefix: string,
    private readonly retainMs: number,
  ) {
    this.before = prefix === '' ? '' : `${prefix}/`;
  }

  async *list(prefix: string): AsyncGenerator<ObjectVersion> {
    if (!isListPrefix(prefix)) throw new Error(`"${prefix}" is no prefix of a list`);
    const { before } = this;
    for await (const { key, ...version } of listVersions(this.requests, before + prefix)) {
      const name = key.slice(before.length);
      if (isObjectKey(name)) yield { name, ...version };
    }
  }

  async source(version: ObjectVersion): Promise<ObjectSource | undefined> {
    const { name, sizeBytes } = version;
    let stored = '';
    for (let attempt = 1; attempt <= READS; attempt += 1) {
      const read = await this.readAll(version);
      if (read === undefined) return undefined;
      const { bytes, checksum, sha256 } = read;
      stored = checksum;
      if (sha256 !== checksum) continue;
      const open = bytes === undefined ? () => this.pieces(version) : () => once(bytes);
      return { sizeBytes, sha256: Buffer.from(sha256, 'hex'), open };
    }
    const message = `version ${shownId(version)} of ${name} (${this.requests.where}) differs from its checksum`;
    throw new TardisError('OBJECT_DAMAGED', message, { unreadable: name, sha256: stored });
  }

  async putAgain(name: string, source: ObjectSource): Promise<void> {
    await putAgain(this.requests, { key: this.keyOf(name), name, source, retainMs: this.retainMs });
  }

  async lockedUntilMs({ name, id }: VersionName): Promise<number> {
    const what = `reading the lock of ${name}`;
    const query = { retention: '', ...(id === undefined ? {} : { versionId: id }) };
    const key = this.keyOf(name);
    const { requests } = this;
    const answer = await requests.send({
      method: 'GET',
      key,
      what,
      query,
      isProperty: true,
      expects: [404],
    });
    if (answer.status === 404) return 0;
    const root = propertyIn(answer.body, 'Retention', what);
    const untilMs = Date.parse(textOf(root, 'RetainUntilDate') ?? '');
    return textOf(root, 'Mode') === 'COMPLIANCE' && !Number.isNaN(untilMs) ? untilMs : 0;
  }

  async lockFor({ name, id }: ObjectVersion, retainMs: number): Promise<void> {
    const until = new Date(this.requests.storeNowMs() + retainMs).toISOString();
    const text = `<Retention xmlns="${XML_NAMESPACE}"><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
    const body = Buffer.from(text);
    await this.requests.send({
      method: 'PUT',
      key: this.keyOf(name),
      what: `locking ${name}`,
      query: { retention: '', versionId: id },
      headers: { 'content-md5': createHash('md5').update(body).digest('base64') },
      body,
      bodySha256: createHash('sha256').update(body).digest('hex'),
      isProperty: true,
      expects: [],
    });
  }

  nowMs(): number {
    return this.requests.storeNowMs();
  }

  async abilities(): Promise<BucketAbilities> {
    const locks = await this.ability('object-lock', 'ObjectLockConfiguration', (root) =>
      textOf(root, 'ObjectLockEnabled'),
    );
    const versions = await this.ability('versioning', 'VersioningConfiguration', (root) =>
      textOf(root, 'Status'),
    );
    return { locks, versions };
  }

  /** Reads a property of the bucket. Returns `no` for status 404, and `unknown` for other refusals. */
  private async ability(
    property: string,
    root: string,
    read: (element: XmlElement) => string | undefined,
  ): Promise<Ability> {
    const what = `reading ${property} of the bucket`;
    const answer = await this.requests.send({
      method: 'GET',
      key: '',
      what,
      query: { [property]: '' },
      isProperty: true,
      expects: [400, 403, 404, 405, 501],
    });
    if (answer.status === 404) return 'no';
    if (answer.status >= 400) return 'unknown';
    return read(propertyIn(answer.body, root, what)) === 'Enabled' ? 'yes' : 'no';
  }

  /** Reads a whole version, and keeps its bytes if they are few. Returns undefined if the version has no checksum. */
  private async readAll(
    version: ObjectVersion,
  ): Promise<(Checked & { readonly checksum: string }) | undefined> {
    const hash = createHash('sha256');
    const kept: Buffer[] = [];
    const isKept = version.sizeBytes <= HELD_BYTES;
    let checksum: string | undefined;
    for (let at = 0; at === 0 || at < version.sizeBytes; at += PIECE_BYTES) {
      const { piece, read } = await this.piece(version, at);
      ({ sha256: checksum } = read);
      if (checksum === undefined) return undefined;
      hash.update(piece);
      if (isKept) kept.push(piece);
    }
    const bytes = isKept ? Buffer.concat(kept) : undefined;
    return { bytes, checksum: checksum!, sha256: hash.digest('hex') };
  }

  private async *pieces(version: ObjectVersion): AsyncGenerator<Buffer> {
    for (let at = 0; at < version.sizeBytes; at += PIECE_BYTES) {
      yield (await this.piece(version, at)).piece;
    }
  }

  private async piece(
    version: ObjectVersion,
    at: number,
  ): Promise<{ piece: Buffer; read: RangeRead }> {
    const { name, id, sizeBytes } = version;
    const wanted = Math.min(PIECE_BYTES, sizeBytes - at);
    const target = Buffer.alloc(Math.max(1, wanted)); // an empty range cannot be requested
    const range = {
      key: this.keyOf(name),
      name: `version ${shownId(version)} of ${name}`,
      at,
      bytes: target.length,
      versionId: id,
      take: (chunk: Buffer, position: number): void => target.set(chunk, position),
    };
    const read = await readRange(this.requests, range);
    if (read?.totalBytes === sizeBytes) return { piece: target.subarray(0, wanted), read };
    const why = read === undefined ? 'it is listed, and does not exist' : 'its size is another one';
    throw invalidAnswer(`reading ${range.name}`, why);
  }

  private keyOf(name: string): string {
    if (!isObjectKey(name)) throw new Error(`"${name}" is no name of an object`);
    return this.before + name;
  }
}

function propertyIn(body: Buffer, name: string, what: string): XmlElement {
  const limits = { maxBytes: MAX_PROPERTY_BYTES, maxDepth: MAX_PROPERTY_DEPTH };
  const root = readXml(body, { ...limits, refused: (why) => invalidAnswer(what, why) });
  if (root.name === name) return root;
  throw invalidAnswer(what, 'this is no answer of an S3 interface');
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Returns the id of a version in a form for messages, since it is untrusted. */
function shownId({ id }: ObjectVersion): string {
  return id.slice(0, SHOWN_ID_CHARS).replaceAll(/[^A-Za-z0-9._-]/g, '?');
}
