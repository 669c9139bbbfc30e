/** Marker files, whose presence in a directory has a meaning: rule files, skip files, cache tags. */
import { requireSystemCode } from '../errors/index.js';
import { EntryType, ownerOf, permissionsOf, RowReader } from '../model/index.js';
import {
  type DirectoryPlace,
  ifThere,
  OpenedPlace,
  OpenKind,
  type System,
} from '../system/index.js';
import type { ExcludeOptions } from './options.js';

export const CACHE_TAG_NAME = 'CACHEDIR.TAG';
/** Signature of a valid CACHEDIR.TAG: https://bford.info/cachedir/ */
const CACHE_TAG_SIGNATURE = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');
/** Common beginning of most names of marker files. One search for it shows whether any of them may occur. */
const COMMON_BEGINNING = '.tardis-';

const STICKY = 0o1000;
const ROOT = 0;

/** Finds marker files in listings, at almost no cost if there are none. */
export class MarkerFiles {
  private readonly names: ReadonlySet<string>;
  private readonly needles: readonly Buffer[];

  constructor(options: ExcludeOptions) {
    const { ruleFileNames, localRuleFileNames, skipFileNames, skipCaches } = options;
    const names = [...ruleFileNames, ...localRuleFileNames, ...skipFileNames];
    if (skipCaches) names.push(CACHE_TAG_NAME);
    this.names = new Set(names);
    const needles = names.map((name) =>
      name.startsWith(COMMON_BEGINNING) ? COMMON_BEGINNING : name,
    );
    this.needles = [...new Set(needles)].map((needle) => Buffer.from(needle, 'latin1'));
  }

  /**
   * Returns the names of marker files in the listing of a directory, with the offsets of their rows; undefined if there are
   * none. Where users may not remove entries of each other, they cannot exclude them either: in a sticky directory, only
   * files of root, of its owner and of this user count.
   */
  find(rows: RowReader, identity: Uint8Array): ReadonlyMap<string, number> | undefined {
    if (!this.needles.some((needle) => rows.rows.includes(needle))) return undefined;
    const isSticky = (permissionsOf(identity) & STICKY) !== 0;
    const trusted = [ROOT, ownerOf(identity), process.geteuid?.()];
    const found = new Map<string, number>();
    for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at)) {
      const name = rows.name(at).toString('latin1');
      if (!this.names.has(name)) continue;
      if (!isSticky || trusted.includes(rows.uid(at))) found.set(name, at);
    }
    return found.size === 0 ? undefined : found;
  }

  /** Returns rows of the marker files in a directory, looking up each name. Throws system errors. */
  look({ native }: System, place: DirectoryPlace): RowReader {
    using directory = new OpenedPlace(native, place);
    const rows = [...this.names].flatMap(
      (each) => ifThere(() => native.statAt(directory.fd, Buffer.from(each, 'latin1'))) ?? [],
    );
    return new RowReader(Buffer.concat(rows));
  }
}

/** The beginning of a file in a directory, or the system's error code if it could not be read. */
type Beginning =
  | { readonly bytes: Uint8Array; readonly failure: undefined }
  | { readonly bytes: undefined; readonly failure: string };

/** Reads at most `limitBytes` of a regular file; follows no link. */
export function readBeginning(
  system: System,
  place: DirectoryPlace,
  name: string,
  limitBytes: number,
): Beginning {
  const { native, files } = system;
  let fileFd: number | undefined;
  try {
    using directory = new OpenedPlace(native, place);
    fileFd = native.openBeneath(directory.fd, Buffer.from(name, 'latin1'), OpenKind.file);
    const room = Buffer.allocUnsafe(limitBytes);
    const got = files.read(fileFd, room, 0, limitBytes, 0);
    return { bytes: new Uint8Array(room.subarray(0, got)), failure: undefined };
  } catch (error) {
    const failure = requireSystemCode(error);
    return { bytes: undefined, failure };
  } finally {
    if (fileFd !== undefined) native.close(fileFd);
  }
}

/** True if a directory is tagged as a cache. */
export function isCache(
  system: System,
  directory: DirectoryPlace,
  rows: RowReader,
  at: number,
): boolean {
  if (rows.type(at) !== EntryType.file) return false;
  const { bytes } = readBeginning(system, directory, CACHE_TAG_NAME, CACHE_TAG_SIGNATURE.length);
  return bytes !== undefined && CACHE_TAG_SIGNATURE.equals(bytes);
}
