/** The objects of a bucket in memory, and the answers to requests for them. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { listText, versionsText } from './s3-lists.js';

/** The abilities and limits of a service. */
export interface S3Rules {
  /**
   * Support for conditions. `ignored`: they have no effect; `without versions`: they have none in a bucket that keeps
   * versions; `unknown`: they are refused with 501.
   */
  readonly conditions?: 'honoured' | 'without versions' | 'ignored' | 'unknown';
  /** True to keep the versions of an object that is replaced or deleted. */
  readonly isVersioned?: boolean;
  /**
   * Support for Object Lock, which implies versions. `ignored`: the headers of locks have no effect. Undefined: the
   * bucket has none.
   */
  readonly locks?: 'honoured' | 'ignored';
  readonly quotaBytes?: number;
  /** Maximum number of names in a page of a list. */
  readonly pageKeys?: number;
}

/** A version of an object, or a delete marker, which has no bytes. */
interface Version {
  readonly id: string;
  readonly bytes: Buffer | undefined;
  readonly etag: string;
  modifiedMs: number;
  readonly headers: Record<string, string>;
  retainUntilMs: number;
}

type Stored = Version & { readonly bytes: Buffer };

export class S3Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;

  constructor(status: number, headers: Record<string, string>, body: Buffer = Buffer.alloc(0)) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  static error(status: number, word: string): S3Answer {
    const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${word}</Code><Message>about ${word}</Message></Error>`;
    return new S3Answer(status, { 'content-type': 'application/xml' }, Buffer.from(text));
  }

  static page(html: string): S3Answer {
    return new S3Answer(200, { 'content-type': 'text/html' }, Buffer.from(html));
  }

  /** Returns this answer with one bit of its body changed. */
  spoiled(): S3Answer {
    const body = Buffer.from(this.body);
    if (body.length > 0) body[body.length >> 1]! ^= 1;
    return new S3Answer(this.status, this.headers, body);
  }

  /** Returns the answer of an outdated list, without any names. Answers that are not lists are returned unchanged. */
  emptied(): S3Answer {
    const text = this.body.toString();
    if (!text.includes('<ListBucketResult')) return this;
    return new S3Answer(this.status, this.headers, Buffer.from(listText([], false)));
  }
}

export class S3Objects {
  /** Versions of each object, the newest last. */
  readonly versions = new Map<string, Version[]>();
  private readonly rules: S3Rules;
  private readonly nowMs: () => number;
  private ignoresNext = false;
  private count = 0;

  constructor(rules: S3Rules, nowMs: () => number = Date.now) {
    this.rules = rules;
    this.nowMs = nowMs;
  }

  /** Stores copies of all versions of another bucket, with their ids and times. */
  copyFrom(other: S3Objects): void {
    for (const [key, all] of other.versions) {
      const copies = all.map((one) => ({ ...one, bytes: one.bytes && Buffer.from(one.bytes) }));
      this.versions.set(key, copies);
    }
    this.count = other.count;
  }

  /** Returns the present bytes of an object. */
  bytesOf(key: string): Buffer | undefined {
    return this.current(key)?.bytes;
  }

  /** Returns all keys, sorted. */
  keys(): string[] {
    return [...this.versions.keys()].filter((key) => this.current(key) !== undefined).sort();
  }

  /** Writes the objects below a prefix into a folder, each as a file with the rest of its name. */
  writeTo(folder: string, prefix: string): void {
    for (const key of this.keys().filter((one) => one.startsWith(prefix))) {
      const file = path.join(folder, key.slice(prefix.length));
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, this.bytesOf(key)!);
    }
  }

  /** Returns the versions of an object that have bytes, the newest last. */
  versionsOf(key: string): readonly Stored[] {
    return (this.versions.get(key) ?? []).filter(isStored);
  }

  /** Changes the stored bytes of an object, and nothing else. */
  spoil(key: string, change: (bytes: Buffer) => Buffer): void {
    const all = this.versions.get(key) ?? [];
    const last = all.at(-1);
    if (last !== undefined && isStored(last)) {
      all[all.length - 1] = { ...last, bytes: change(last.bytes) };
    }
  }

  /**
   * Makes everything that is stored older by `ms`. The clock is not moved, since requests would then need that time
   * too.
   */
  pass(ms: number): void {
    for (const version of [...this.versions.values()].flat()) {
      version.modifiedMs -= ms;
      version.retainUntilMs -= ms;
    }
  }

  /**
   * Completes an upload in several requests. The object's time is that of the beginning of the upload, as at Amazon.
   */
  completeMultipart(key: string, bytes: Buffer, begunMs: number): void {
    const etag = `"${md5Of(bytes).toString('hex')}-2"`;
    const { retainUntilMs, headers } = { retainUntilMs: 0, headers: {} };
    const made = { id: this.newId(), bytes, etag, modifiedMs: begunMs, headers, retainUntilMs };
    const all = [...(this.versions.get(key) ?? []), made];
    this.versions.set(
      key,
      all.sort((a, b) => a.modifiedMs - b.modifiedMs),
    );
  }

  ignoreNextCondition(): void {
    this.ignoresNext = true;
  }

  put(key: string, bytes: Buffer, headers: IncomingHttpHeaders): S3Answer {
    const { conditions = 'honoured', quotaBytes = Infinity } = this.rules;
    const hasCondition = headers['if-none-match'] !== undefined;
    const isLost = conditions === 'without versions' && this.isVersioned;
    const isIgnored = conditions === 'ignored' || isLost || this.ignoresNext;
    this.ignoresNext = false;
    if (hasCondition && conditions === 'unknown') return S3Answer.error(501, 'NotImplemented');
    if (hasCondition && !isIgnored && this.current(key) !== undefined) {
      return S3Answer.error(412, 'PreconditionFailed');
    }
    if (this.usedBytes() + bytes.length > quotaBytes) return S3Answer.error(403, 'QuotaExceeded');
    const md5 = md5Of(bytes);
    const retainUntilMs = this.lockIn(headers, md5);
    if (retainUntilMs instanceof S3Answer) return retainUntilMs;
    const kept = Object.entries(headers).filter(
      ([name]) => name.startsWith('x-amz-meta-') || name === 'x-amz-storage-class',
    );
    const etag = `"${md5.toString('hex')}"`;
    const version = {
      id: this.newId(),
      bytes,
      etag,
      modifiedMs: this.nowMs(),
      headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
      retainUntilMs,
    };
    const before = this.versions.get(key) ?? [];
    this.versions.set(key, this.isVersioned ? [...before, version] : [version]);
    return new S3Answer(
      200,
      this.isVersioned ? { etag, 'x-amz-version-id': version.id } : { etag },
    );
  }

  remove(key: string, id: string | null = null): S3Answer {
    const before = this.versions.get(key) ?? [];
    if (id !== null) {
      const wanted = before.find((version) => version.id === id);
      if (wanted !== undefined && this.isRetained(wanted))
        return S3Answer.error(403, 'AccessDenied');
      this.keep(
        key,
        before.filter((version) => version !== wanted),
      );
    } else if (this.isVersioned) {
      // Amazon makes a delete marker even for an object that does not exist.
      const times = { modifiedMs: this.nowMs(), retainUntilMs: 0 };
      const mark = { id: this.newId(), bytes: undefined, etag: '', headers: {}, ...times };
      this.versions.set(key, [...before, mark]);
    } else this.versions.delete(key);
    return new S3Answer(204, {});
  }

  get(key: string, range: string | undefined, id: string | null = null): S3Answer {
    const there = this.wanted(key, id);
    if (there instanceof S3Answer) return there;
    const { bytes, etag, modifiedMs } = there;
    const changed = new Date(modifiedMs).toUTCString();
    const headers = { ...there.headers, 'last-modified': changed, etag };
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (first === undefined) return new S3Answer(200, headers, bytes);
    const [from, to] = [Number(first), Math.min(Number(last), bytes.length - 1)];
    if (from >= bytes.length) {
      return new S3Answer(416, { ...headers, 'content-range': `bytes */${bytes.length}` });
    }
    const span = { ...headers, 'content-range': `bytes ${from}-${to}/${bytes.length}` };
    return new S3Answer(206, span, bytes.subarray(from, to + 1));
  }

  /** Answers a request for the lock of a version. */
  retention(key: string, id: string | null): S3Answer {
    if (this.rules.locks !== 'honoured') return S3Answer.error(400, 'InvalidRequest');
    const there = this.wanted(key, id);
    if (there instanceof S3Answer) return there;
    if (there.retainUntilMs === 0) return S3Answer.error(404, 'NoSuchObjectLockConfiguration');
    const until = new Date(there.retainUntilMs).toISOString();
    return xml(
      `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`,
    );
  }

  /** Extends the lock of a version. */
  retain(
    key: string,
    id: string | null,
    { body, headers }: { body: Buffer; headers: IncomingHttpHeaders },
  ): S3Answer {
    if (this.rules.locks !== 'honoured') return S3Answer.error(400, 'InvalidRequest');
    if (headers['content-md5'] !== md5Of(body).toString('base64')) {
      return S3Answer.error(400, 'InvalidRequest');
    }
    const there = this.wanted(key, id);
    if (there instanceof S3Answer) return there;
    const [, mode] = /<Mode>(\w+)<\/Mode>/.exec(body.toString()) ?? [];
    const [, date = ''] = /<RetainUntilDate>([^<]+)</.exec(body.toString()) ?? [];
    const untilMs = Date.parse(date);
    if (mode !== 'COMPLIANCE' || !(untilMs > this.nowMs())) {
      return S3Answer.error(400, 'MalformedXML');
    }
    if (this.isRetained(there) && untilMs < there.retainUntilMs) {
      return S3Answer.error(403, 'AccessDenied');
    }
    there.retainUntilMs = untilMs;
    return new S3Answer(200, {});
  }

  /** Answers a request for the bucket itself: a list, or a property. */
  list(query: URLSearchParams): S3Answer {
    if (query.has('object-lock')) return this.lockConfiguration();
    if (query.has('versioning')) {
      const status = this.isVersioned ? '<Status>Enabled</Status>' : '';
      return xml(`<VersioningConfiguration>${status}</VersioningConfiguration>`);
    }
    const most = Math.min(Number(query.get('max-keys') ?? 1000), this.rules.pageKeys ?? 1000);
    const prefix = query.get('prefix') ?? '';
    if (query.has('versions')) return this.listVersions(query, prefix, most);
    const after = query.get('start-after') ?? '';
    const all = this.keys().filter((key) => key.startsWith(prefix) && key > after);
    const page = all.slice(0, most).map((key) => ({ key, bytes: this.current(key)!.bytes.length }));
    return xml(listText(page, all.length > most));
  }

  private listVersions(query: URLSearchParams, prefix: string, most: number): S3Answer {
    const [key, id] = [query.get('key-marker') ?? '', query.get('version-id-marker')];
    const all = [...this.versions.keys()]
      .filter((one) => one.startsWith(prefix))
      .sort()
      .flatMap((one) => {
        const newestFirst = this.versions.get(one)!.toReversed();
        return newestFirst.map((version, at) => ({ key: one, version, isLatest: at === 0 }));
      });
    const marked = all.findIndex((one) => one.key === key && one.version.id === id);
    const from = id === null ? all.findIndex((one) => one.key > key) : marked + 1;
    const rest = from < 0 ? [] : all.slice(from);
    return xml(versionsText(rest.slice(0, most), rest.length > most));
  }

  private lockConfiguration(): S3Answer {
    if (this.rules.locks === undefined) {
      return S3Answer.error(404, 'ObjectLockConfigurationNotFoundError');
    }
    return xml(
      '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
    );
  }

  /** Returns the time until which a PUT locks its object. If the lock must be refused, returns that answer. */
  private lockIn(headers: IncomingHttpHeaders, md5: Buffer): number | S3Answer {
    const lock = headers['x-amz-object-lock-retain-until-date'];
    const { locks } = this.rules;
    if (lock === undefined || locks === 'ignored') return 0;
    const mode = headers['x-amz-object-lock-mode'];
    const given = headers['content-md5'];
    if (locks === undefined || given === undefined) return S3Answer.error(400, 'InvalidRequest');
    if (given !== md5.toString('base64')) return S3Answer.error(400, 'BadDigest');
    const untilMs = Date.parse(String(lock));
    const isSound = mode === 'COMPLIANCE' && untilMs > this.nowMs();
    return isSound ? untilMs : S3Answer.error(400, 'InvalidArgument');
  }

  /** Returns a version. If there is none, returns the answer with the reason. */
  private wanted(key: string, id: string | null): Stored | S3Answer {
    if (id === null) return this.current(key) ?? S3Answer.error(404, 'NoSuchKey');
    const found = this.versions.get(key)?.find((version) => version.id === id);
    if (found === undefined) return S3Answer.error(404, 'NoSuchVersion');
    return isStored(found) ? found : S3Answer.error(405, 'MethodNotAllowed');
  }

  private get isVersioned(): boolean {
    return this.rules.isVersioned === true || this.rules.locks !== undefined;
  }

  private current(key: string): Stored | undefined {
    const last = this.versions.get(key)?.at(-1);
    return last !== undefined && isStored(last) ? last : undefined;
  }

  private keep(key: string, versions: Version[]): void {
    if (versions.length > 0) this.versions.set(key, versions);
    else this.versions.delete(key);
  }

  private newId(): string {
    this.count += 1;
    return this.isVersioned ? `v${this.count}.${(this.count * 7919) % 10_007}` : 'null';
  }

  private isRetained({ retainUntilMs }: Version): boolean {
    return retainUntilMs > this.nowMs();
  }

  private usedBytes(): number {
    return [...this.versions.values()]
      .flat()
      .reduce((sum, version) => sum + (version.bytes?.length ?? 0), 0);
  }
}

function isStored(version: Version): version is Stored {
  return version.bytes !== undefined;
}

function md5Of(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest();
}

function xml(text: string): S3Answer {
  const document = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`);
  return new S3Answer(200, { 'content-type': 'application/xml' }, document);
}
