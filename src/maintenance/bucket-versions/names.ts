/**
 * Gathers the versions of each name in a bucket. An object of a store is created once, so the oldest one of its versions
 * counts: all later ones are of another writer, or copies that were brought back.
 */
import { CLIENTS_PREFIX, writtenOnce, type WrittenOnce } from '../../store/index.js';
import { isMultipart, type ObjectVersion, type ObjectVersions } from '../../store/objects/index.js';

/** The versions of one name that matter. */
export interface VersionedName extends WrittenOnce {
  readonly name: string;
  /** The version that readers get, or a delete marker. */
  readonly latest: ObjectVersion;
  /**
   * The version that counts; undefined if there is none. Versions that several requests made never count: a service
   * dates them by the first of those requests, so they could be made older than an object that exists.
   */
  readonly oldest: ObjectVersion | undefined;
}

/** Yields the names below a prefix that are written once, in their order. It keeps two versions of one name in memory. */
export async function* versionedNames(
  versions: ObjectVersions,
  prefix: string = CLIENTS_PREFIX,
): AsyncGenerator<VersionedName> {
  let gathered: VersionedName | undefined;
  for await (const version of versions.list(prefix)) {
    if (gathered?.name !== version.name) {
      if (gathered !== undefined) yield gathered;
      const { name } = version;
      const facts = writtenOnce(name);
      gathered = facts && { ...facts, name, latest: version, oldest: undefined };
    }
    if (gathered !== undefined && !version.isMark && !isMultipart(version)) {
      gathered = { ...gathered, oldest: version };
    }
  }
  if (gathered !== undefined) yield gathered;
}
