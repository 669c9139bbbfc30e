/** Lists the keys below a prefix, or their versions, by pages. The contents of a page are untrusted. */
import { elementsIn, type XmlElement, readXml } from '../../../system/xml/index.js';
import { invalidAnswer, type Requests } from './requests.js';

/** Maximum number of keys, or of versions, in a page. */
const MAX_PAGE_KEYS = 1000;
const MAX_PAGE_BYTES = 8 << 20;
const MAX_PAGE_DEPTH = 6;
/** Maximum number of versions of one key that are read. If a list has more, it is rejected as endless. */
const MAX_VERSIONS_OF_KEY = 100_000_000;
const SIZE = /^\d{1,15}$/;
const MAX_ID_CHARS = 1024;

/** Returns the text of the first child with a name; undefined if there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return elementsIn(element).find((child) => child.name === name)?.text;
}

/**
 * Decodes a key of a list, which is encoded as in a URL. Throws BUCKET_ANSWER_INVALID if it cannot be decoded; `what`
 * is the action in the error.
 */
function decodedKey(key: string, what: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    throw invalidAnswer(what, 'the list has a name that cannot be decoded');
  }
}

/** Returns the root of a page. Throws BUCKET_ANSWER_INVALID if it is no list of this kind. */
function readPage(body: Buffer, kind: string, what: string): XmlElement {
  const root = readXml(body, {
    maxBytes: MAX_PAGE_BYTES,
    maxDepth: MAX_PAGE_DEPTH,
    refused: (why) => invalidAnswer(what, why),
  });
  if (root.name !== kind) throw invalidAnswer(what, 'the answer is no list');
  return root;
}

export interface ListedKey {
  readonly key: string;
  /** Undefined if the store does not report it. */
  readonly sizeBytes: number | undefined;
}

/**
 * Lists keys that begin with `prefix`, in the order of their bytes, beginning with the first key after `after`. Each
 * page begins after the last key of the page before, so a page can be requested again. Throws BUCKET_ANSWER_INVALID if
 * a page is not sorted, has keys of another prefix, or is empty but not the last.
 */
export async function* listObjects(
  requests: Requests,
  prefix: string,
  after: string,
): AsyncGenerator<ListedKey> {
  const what = `listing ${requests.shown}`;
  for (let last = after; ; ) {
    const start: Record<string, string> = last === '' ? {} : { 'start-after': last };
    const body = await pageOf(requests, prefix, what, { 'list-type': '2', ...start });
    const { keys, hasMore } = readKeys(body, what);
    for (const listed of keys) {
      const { key } = listed;
      if (!key.startsWith(prefix))
        throw invalidAnswer(what, 'the list has names of another prefix');
      if (Buffer.compare(Buffer.from(key), Buffer.from(last)) <= 0) {
        throw invalidAnswer(what, 'the list is not sorted');
      }
      last = key;
      yield listed;
    }
    if (!hasMore) return;
    if (keys.length === 0) throw invalidAnswer(what, 'the list does not end');
  }
}

function readKeys(body: Buffer, what: string): { keys: ListedKey[]; hasMore: boolean } {
  const root = readPage(body, 'ListBucketResult', what);
  const isEncoded = textOf(root, 'EncodingType') === 'url';
  const contents = elementsIn(root).filter(({ name }) => name === 'Contents');
  const keys = contents.map((one) => {
    const key = textOf(one, 'Key') ?? '';
    const size = textOf(one, 'Size') ?? '';
    const sizeBytes = SIZE.test(size) ? Number(size) : undefined;
    return { key: isEncoded ? decodedKey(key, what) : key, sizeBytes };
  });
  return { keys, hasMore: textOf(root, 'IsTruncated') === 'true' };
}

interface ListedVersion {
  readonly key: string;
  readonly id: string;
  readonly isLatest: boolean;
  readonly isMark: boolean;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly tag: string;
}

/** The place in a list after which a page begins. */
interface Place {
  readonly key: string;
  readonly id: string;
}

interface Page {
  readonly versions: readonly ListedVersion[];
  readonly next: Place | undefined;
}

/**
 * Lists the versions of all keys that begin with `prefix`, sorted by key, and for each key from the newest version to
 * the oldest. Throws BUCKET_ANSWER_INVALID if a page is not sorted like this, has keys of another prefix, or is empty
 * but not the last.
 */
export async function* listVersions(
  requests: Requests,
  prefix: string,
): AsyncGenerator<ListedVersion> {
  const what = `listing the versions of ${requests.shown}`;
  let last: string | undefined;
  let count = 0;
  for (let from: Place | undefined; ; ) {
    const { versions, next } = await pageFrom(requests, { prefix, from, what });
    for (const version of versions) {
      const { key } = version;
      if (!key.startsWith(prefix))
        throw invalidAnswer(what, 'the list has names of another prefix');
      const order = last === undefined ? 1 : Buffer.compare(Buffer.from(key), Buffer.from(last));
      if (order < 0) throw invalidAnswer(what, 'the list is not sorted');
      count = order === 0 ? count + 1 : 1;
      if (count > MAX_VERSIONS_OF_KEY) throw invalidAnswer(what, 'the list does not end');
      if (version.isLatest !== (count === 1)) {
        throw invalidAnswer(what, 'the list does not begin with the newest version of an object');
      }
      last = key;
      yield version;
    }
    if (next === undefined) return;
    const isSame = next.key === from?.key && next.id === from.id;
    if (versions.length === 0 || isSame) throw invalidAnswer(what, 'the list does not end');
    from = next;
  }
}

async function pageFrom(
  requests: Requests,
  { prefix, from, what }: { prefix: string; from: Place | undefined; what: string },
): Promise<Page> {
  const marker = from && {
    'key-marker': from.key,
    ...(from.id === '' ? {} : { 'version-id-marker': from.id }),
  };
  return readVersions(await pageOf(requests, prefix, what, { versions: '', ...marker }), what);
}

/** Requests a page of a list of keys with a prefix. `more` has the fields of the query that choose list and page. */
async function pageOf(
  requests: Requests,
  prefix: string,
  what: string,
  more: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const limits = { 'encoding-type': 'url', 'max-keys': String(MAX_PAGE_KEYS) };
  const query = { ...more, ...limits, prefix };
  const { body } = await requests.send({ method: 'GET', key: '', what, query, expects: [] });
  return body;
}

function readVersions(body: Buffer, what: string): Page {
  const root = readPage(body, 'ListVersionsResult', what);
  const isEncoded = textOf(root, 'EncodingType') === 'url';
  const keyIn = (element: XmlElement, name: string): string => {
    const key = textOf(element, name) ?? '';
    return isEncoded ? decodedKey(key, what) : key;
  };
  const versions = elementsIn(root)
    .filter(({ name }) => name === 'Version' || name === 'DeleteMarker')
    .map((element) => versionIn(element, keyIn(element, 'Key'), what));
  if (textOf(root, 'IsTruncated') !== 'true') return { versions, next: undefined };
  const key = keyIn(root, 'NextKeyMarker');
  const id = textOf(root, 'NextVersionIdMarker') ?? '';
  if (key === '') throw invalidAnswer(what, 'the list does not show where it goes on');
  return { versions, next: { key, id } };
}

function versionIn(element: XmlElement, key: string, what: string): ListedVersion {
  const isMark = element.name === 'DeleteMarker';
  const id = textOf(element, 'VersionId') ?? '';
  const modifiedMs = Date.parse(textOf(element, 'LastModified') ?? '');
  const size = isMark ? '0' : (textOf(element, 'Size') ?? '');
  const isWhole = SIZE.test(size) && id !== '' && id.length <= MAX_ID_CHARS;
  if (!isWhole || Number.isNaN(modifiedMs)) {
    throw invalidAnswer(what, 'the list has a version without number, size or time');
  }
  return {
    key,
    id,
    isLatest: textOf(element, 'IsLatest') === 'true',
    isMark,
    sizeBytes: Number(size),
    modifiedMs,
    tag: isMark ? '' : (textOf(element, 'ETag') ?? ''),
  };
}
