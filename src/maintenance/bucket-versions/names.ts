/**
 * Gathers the versions of each name in a bucket. A store creates each object once, so the oldest version counts. All
 * later versions are from another writer, or are restored copies.
 */
import { CLIENTS_PREFIX, isReplaced, writtenOnce, type WrittenOnce } from '../../store/index.js';
import { isMultipart, type ObjectVersion, type ObjectVersions } from '../../store/objects/index.js';

/** The versions of one name that matter. */
export interface VersionedName extends WrittenOnce {
  readonly name: string;
  /** The version that readers get. It may be a delete marker. */
  readonly latest: ObjectVersion;
  /**
   * The version that counts; undefined if there is none. A version that was uploaded by several requests never counts.
   * A service dates it by the first of these requests, so an attacker could make it look older than an existing object.
   */
  readonly oldest: ObjectVersion | undefined;
}

/**
 * Yields the names below a prefix that are written once, in their order. It keeps two versions of one name in memory.
 * `onStranger` is called with each version of an object that no program of this package makes.
 */
export async function* versionedNames(
  versions: ObjectVersions,
  prefix: string = CLIENTS_PREFIX,
  onStranger: (version: ObjectVersion) => void = () => undefined,
): AsyncGenerator<VersionedName> {
  let gathered: VersionedName | undefined;
  for await (const version of versions.list(prefix)) {
    if (gathered?.name !== version.name) {
      if (gathered !== undefined) yield gathered;
      const { name } = version;
      const facts = writtenOnce(name);
      gathered = facts && { ...facts, name, latest: version, oldest: undefined };
      if (facts === undefined && !isReplaced(name)) onStranger(version);
    }
    if (gathered !== undefined && !version.isMark && !isMultipart(version)) {
      gathered = { ...gathered, oldest: version };
    }
  }
  if (gathered !== undefined) yield gathered;
}
