/** The objects of the bucket in memory, and the answers to requests for them. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The abilities and limits of a service. */
export interface S3Rules {
  /** `ignored`: conditions have no effect; `unknown`: they are refused with 501. */
  readonly conditions?: 'honoured' | 'ignored' | 'unknown';
  /** Keeps the versions of an object that is replaced or deleted. */
  readonly isVersioned?: boolean;
  readonly quotaBytes?: number;
  /** Names of a page of a list at most. */
  readonly pageKeys?: number;
}

interface Version {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly headers: Record<string, string>;
  readonly retainUntilMs: number;
}

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

  /** Returns a list without its names, as an old one. Other answers stay. */
  emptied(): S3Answer {
    const text = this.body.toString();
    if (!text.includes('<ListBucketResult')) return this;
    return new S3Answer(this.status, this.headers, Buffer.from(listText([], false)));
  }
}

export class S3Objects {
  /** Versions of each object, the newest last; undefined is a mark that it was deleted. */
  readonly versions = new Map<string, (Version | undefined)[]>();
  private readonly rules: S3Rules;
  private ignoresNext = false;

  constructor(rules: S3Rules) {
    this.rules = rules;
  }

  /** Returns the bytes of an object as they are now. */
  bytesOf(key: string): Buffer | undefined {
    return this.current(key)?.bytes;
  }

  /** Returns all keys, sorted. */
  keys(): string[] {
    return [...this.versions.keys()].filter((key) => this.current(key) !== undefined).sort();
  }

  /** Changes the stored bytes, and nothing else. */
  spoil(key: string, change: (bytes: Buffer) => Buffer): void {
    const all = this.versions.get(key) ?? [];
    const last = all.at(-1);
    if (last !== undefined) all[all.length - 1] = { ...last, bytes: change(last.bytes) };
  }

  ignoreNextCondition(): void {
    this.ignoresNext = true;
  }

  put(key: string, bytes: Buffer, headers: IncomingHttpHeaders): S3Answer {
    const { conditions = 'honoured', isVersioned = false, quotaBytes = Infinity } = this.rules;
    const hasCondition = headers['if-none-match'] !== undefined;
    const isIgnored = conditions === 'ignored' || this.ignoresNext;
    this.ignoresNext = false;
    if (hasCondition && conditions === 'unknown') return S3Answer.error(501, 'NotImplemented');
    const there = this.current(key);
    if (hasCondition && !isIgnored && there !== undefined) {
      return S3Answer.error(412, 'PreconditionFailed');
    }
    if (this.usedBytes() + bytes.length > quotaBytes) return S3Answer.error(403, 'QuotaExceeded');
    const lock = headers['x-amz-object-lock-retain-until-date'];
    const md5 = createHash('md5').update(bytes).digest();
    const etag = `"${md5.toString('hex')}"`;
    if (lock !== undefined && headers['content-md5'] !== md5.toString('base64')) {
      return S3Answer.error(400, 'InvalidRequest');
    }
    const kept = Object.entries(headers).filter(
      ([name]) => name.startsWith('x-amz-meta-') || name === 'x-amz-storage-class',
    );
    const version = {
      bytes,
      etag,
      modifiedMs: Date.now(),
      headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
      retainUntilMs: lock === undefined ? 0 : Date.parse(String(lock)),
    };
    const before = this.versions.get(key) ?? [];
    if (!isVersioned && isRetained(there)) return S3Answer.error(403, 'AccessDenied');
    this.versions.set(key, isVersioned ? [...before, version] : [version]);
    return new S3Answer(200, { etag });
  }

  remove(key: string): S3Answer {
    const before = this.versions.get(key) ?? [];
    if (this.rules.isVersioned === true) {
      if (before.length > 0) this.versions.set(key, [...before, undefined]);
    } else if (isRetained(before.at(-1))) return S3Answer.error(403, 'AccessDenied');
    else this.versions.delete(key);
    return new S3Answer(204, {});
  }

  get(key: string, range: string | undefined): S3Answer {
    const there = this.current(key);
    if (there === undefined) return S3Answer.error(404, 'NoSuchKey');
    const { bytes, etag, modifiedMs } = there;
    const changed = new Date(modifiedMs).toUTCString();
    const headers = { ...there.headers, 'last-modified': changed, etag };
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (first === undefined) return new S3Answer(200, headers, bytes);
    const [from, to] = [Number(first), Math.min(Number(last), bytes.length - 1)];
    if (from >= bytes.length) {
      return new S3Answer(416, { 'content-range': `bytes */${bytes.length}` });
    }
    const span = { ...headers, 'content-range': `bytes ${from}-${to}/${bytes.length}` };
    return new S3Answer(206, span, bytes.subarray(from, to + 1));
  }

  list(query: URLSearchParams): S3Answer {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('start-after') ?? '';
    const most = Math.min(Number(query.get('max-keys') ?? 1000), this.rules.pageKeys ?? 1000);
    const all = this.keys().filter((key) => key.startsWith(prefix) && key > after);
    const page = all.slice(0, most).map((key) => ({ key, bytes: this.current(key)!.bytes.length }));
    const text = listText(page, all.length > most);
    return new S3Answer(200, { 'content-type': 'application/xml' }, Buffer.from(text));
  }

  private current(key: string): Version | undefined {
    return this.versions.get(key)?.at(-1);
  }

  private usedBytes(): number {
    return [...this.versions.values()]
      .flat()
      .reduce((sum, version) => sum + (version?.bytes.length ?? 0), 0);
  }
}

function isRetained(version: Version | undefined): boolean {
  return version !== undefined && version.retainUntilMs > Date.now();
}

function listText(
  page: readonly { readonly key: string; readonly bytes: number }[],
  hasMore: boolean,
): string {
  const contents = page.map(
    ({ key, bytes }) =>
      `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${bytes}</Size></Contents>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><IsTruncated>${hasMore}</IsTruncated>${contents.join('')}</ListBucketResult>`;
}
