/** Lists the keys below a prefix with their sizes, by pages. The contents of a page are untrusted. */
import { elementsIn, readXml } from '../../../system/xml/index.js';
import { decodedKey, textOf } from './list-fields.js';
import { invalidAnswer, type Requests } from './requests.js';

const MAX_PAGE_KEYS = 1000;
const MAX_PAGE_BYTES = 8 << 20;
const MAX_PAGE_DEPTH = 6;
const SIZE = /^\d{1,15}$/;

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
    const { body } = await requests.send({
      method: 'GET',
      key: '',
      what,
      query: {
        'list-type': '2',
        'encoding-type': 'url',
        'max-keys': String(MAX_PAGE_KEYS),
        prefix,
        ...(last === '' ? {} : { 'start-after': last }),
      },
      expects: [],
    });
    const { keys, hasMore } = readPage(body, what);
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

function readPage(body: Buffer, what: string): { keys: ListedKey[]; hasMore: boolean } {
  const root = readXml(body, {
    maxBytes: MAX_PAGE_BYTES,
    maxDepth: MAX_PAGE_DEPTH,
    refused: (why) => invalidAnswer(what, why),
  });
  if (root.name !== 'ListBucketResult') throw invalidAnswer(what, 'the answer is no list');
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
