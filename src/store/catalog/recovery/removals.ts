/**
 * Finds the newest complete image in the packs, and the packs and objects that were removed. A rebuild looks for both
 * before it writes anything to a catalog.
 */
import { digestKey, type PackNumber } from '../../../model/index.js';
import {
  type Backend,
  type ImageHead,
  type ImagePiece,
  isRecordSound,
  packName,
  readEvent,
  readImagePiece,
  readRecord,
  recordBytes,
  RecordKind,
  type StoreEvent,
} from '../../index.js';
import { type PendingCommit, type PendingRecord } from './commit-walk.js';
import { FIRST_COMMIT, walkCommits } from './log-walk.js';
import { soundOr } from './found-contents.js';

/** Removed packs and objects, found in the packs before anything is written to a catalog. */
export interface Removals {
  /** The commit of the newest complete image. */
  readonly image: PendingCommit | undefined;
  /** Packs removed after that image, or at any time if there is no image. */
  readonly packs: ReadonlySet<PackNumber>;
  /** The packs before the image's own pack that the image lists as needed; undefined if all those packs are needed. */
  readonly kept: ReadonlySet<PackNumber> | undefined;
  /** True if the ends of packs were moved elsewhere and cut off since the image was written. */
  readonly hasCuts: boolean;
  /** True if commits, or records between them, are missing. Then listings and events may be missing too. */
  readonly isHollow: boolean;
  /** The number of the last commit that removed an object, by its digest key. */
  readonly objects: ReadonlyMap<string, number>;
}

/** Reads the headers of all packs and the events in them. Throws STORE_NEWER for a record of a newer format. */
export async function findRemovals(backend: Backend): Promise<Removals> {
  const walk = walkCommits(backend, FIRST_COMMIT);
  let image: PendingCommit | undefined;
  let kept: ReadonlySet<PackNumber> | undefined;
  let packs = new Set<PackNumber>();
  let hasCuts = false;
  const objects = new Map<string, number>();
  for await (const commit of walk.commits()) {
    if (await isWholeImage(backend, commit)) {
      image = commit;
      kept = await keptBy(backend, commit);
      packs = new Set();
      hasCuts = false;
    }
    for (const record of commit.records) {
      if (record.header.kind !== RecordKind.event) continue;
      const event = await eventIn(backend, record);
      if (event?.type === 'cut') hasCuts = true;
      if (event?.type !== 'removed') continue;
      for (const pack of event.packs) packs.add(pack);
      for (const digest of event.objects) objects.set(digestKey(digest), commit.body.commit);
    }
  }
  return { image, packs, kept, hasCuts, isHollow: walk.isMetadataLost, objects };
}

/** True if a pack is no longer needed, whether its file exists or not. */
export function isRemoved({ image, packs, kept }: Removals, pack: PackNumber): boolean {
  if (packs.has(pack)) return true;
  return image !== undefined && pack < image.point.pack && kept?.has(pack) === false;
}

async function keptBy(
  backend: Backend,
  image: PendingCommit,
): Promise<ReadonlySet<PackNumber> | undefined> {
  const [first] = imagePiecesIn(image);
  if (first === undefined) return undefined;
  const head = (await imagePieceIn(backend, first))?.items.find(
    (item): item is ImageHead => item.type === 'head',
  );
  return head && new Set(head.packs);
}

/**
 * True if all records of the image are present. For the last commit they must also be sound, since its sync may
 * have been cut short.
 */
async function isWholeImage(backend: Backend, commit: PendingCommit): Promise<boolean> {
  const pieces = imagePiecesIn(commit);
  const last = pieces.at(-1);
  if (last === undefined) return false;
  if (commit.isLast) {
    if (!commit.matches) return false;
    for (const { location, header } of commit.records) {
      const name = packName(location.pack);
      if (!(await isRecordSound(backend, name, location.position, header))) return false;
    }
  }
  const piece = await imagePieceIn(backend, last);
  return piece?.isLast === true && piece.piece === pieces.length - 1;
}

/** Returns the records of the image in a commit, in their order. */
export function imagePiecesIn({ records }: PendingCommit): PendingRecord[] {
  return records
    .filter(({ header }) => header.kind === RecordKind.image)
    .sort((one, other) => one.header.sequence - other.header.sequence);
}

/** Reads an event. Returns undefined if its record is damaged. */
export function eventIn(backend: Backend, record: PendingRecord): Promise<StoreEvent | undefined> {
  return soundOr(undefined, async () => readEvent(await readPending(backend, record)));
}

/** Reads a piece of an image. Returns undefined if its record is damaged. */
export function imagePieceIn(
  backend: Backend,
  record: PendingRecord,
): Promise<ImagePiece | undefined> {
  return soundOr(undefined, async () => readImagePiece(await readPending(backend, record)));
}

/** Reads a record of the packs. Throws RECORD_DAMAGED if it is damaged, cut off or missing. */
export function readPending(backend: Backend, { header, location }: PendingRecord) {
  return readRecord(backend, packName(location.pack), location.position, recordBytes(header));
}
