/** Writes lists of objects and of their versions in the form of S3. */

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

/** Returns a page of a list. */
export function listText(
  page: readonly { readonly key: string; readonly bytes: number }[],
  hasMore: boolean,
): string {
  const contents = page.map(
    ({ key, bytes }) =>
      `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${bytes}</Size></Contents>`,
  );
  return `<ListBucketResult ${NAMESPACE}><EncodingType>url</EncodingType><IsTruncated>${hasMore}</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

export interface ShownVersion {
  readonly key: string;
  readonly isLatest: boolean;
  readonly version: {
    readonly id: string;
    readonly etag: string;
    readonly modifiedMs: number;
    /** Undefined for a delete marker. */
    readonly bytes: Buffer | undefined;
  };
}

/** Returns a page of a list of versions. */
export function versionsText(page: readonly ShownVersion[], hasMore: boolean): string {
  const last = page.at(-1);
  const next =
    last === undefined || !hasMore
      ? ''
      : `<NextKeyMarker>${encodeURIComponent(last.key)}</NextKeyMarker><NextVersionIdMarker>${last.version.id}</NextVersionIdMarker>`;
  const items = page.map(({ key, isLatest, version: { id, etag, modifiedMs, bytes } }) => {
    const name = bytes === undefined ? 'DeleteMarker' : 'Version';
    const facts = `<Key>${encodeURIComponent(key)}</Key><VersionId>${id}</VersionId><IsLatest>${isLatest}</IsLatest><LastModified>${new Date(modifiedMs).toISOString()}</LastModified>`;
    const tag = etag.replaceAll('"', '&quot;');
    const more = bytes === undefined ? '' : `<ETag>${tag}</ETag><Size>${bytes.length}</Size>`;
    return `<${name}>${facts}${more}</${name}>`;
  });
  return `<ListVersionsResult ${NAMESPACE}><EncodingType>url</EncodingType><IsTruncated>${hasMore}</IsTruncated>${next}${items.join('')}</ListVersionsResult>`;
}
