/**
 * Begins a rebuild with the newest image in the packs, where there is one: what it says goes into the empty
 * catalog, then the contents of the packs it names; everything behind it is replayed as usual. Without an image
 * nothing was ever removed, and all of it is replayed.
 */
import { TardisError } from '../errors/index.js';
import { digestKey } from '../model/index.js';
import {
  type Backend,
  type ImageItem,
  type ImagePiece,
  isRecordSound,
  listPacks,
  packName,
  readEvent,
  readImagePiece,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
} from '../store/index.js';
import { breather } from '../system/index.js';
import { applyDamage, breakDependants, contentOfRow, digestsOf } from './apply.js';
import type { ContentRecords } from './apply-records.js';
import type { Catalog } from './catalog.js';
import { CommitWalk, type PendingCommit, type PendingRecord } from './commit-walk.js';

type ImageHead = Extract<ImageItem, { type: 'head' }>;

/** What the packs say of removal, found before anything is put into a catalog. */
export interface Removals {
  /** The commit of the newest whole image. */
  readonly image: PendingCommit | undefined;
  /** Removed after that image, if there is one. */
  readonly packs: ReadonlySet<number>;
  /** Of packs before the one that the image is in: those it names; undefined: all there are. */
  readonly kept: ReadonlySet<number> | undefined;
  /** The number of the last commit that removed an object, by the key of its digest. */
  readonly objects: ReadonlyMap<string, number>;
}

/** What an image says of contents, and no table has. */
interface SaidOfContents {
  readonly head: ImageHead | undefined;
  readonly objects: readonly Buffer[];
  readonly damaged: readonly Buffer[];
}

const NO_POINT = Object.freeze({ commit: 0, pack: 0, position: 0 });
const NOTHING_KNOWN: ReadonlyMap<string, number> = new Map();
const NO_PACKS: ReadonlySet<number> = new Set();

/** Looks through the headers of all packs, and reads events. Throws STORE_NEWER. */
export async function findRemovals(backend: Backend): Promise<Removals> {
  const walk = new CommitWalk(backend, { point: NO_POINT, sequence: 0, isThorough: true });
  let image: PendingCommit | undefined;
  let kept: ReadonlySet<number> | undefined;
  let packs = new Set<number>();
  const objects = new Map<string, number>();
  for await (const commit of walk.commits()) {
    if (await isWholeImage(backend, commit)) {
      image = commit;
      kept = await keptBy(backend, commit);
      packs = new Set();
    }
    for (const record of commit.records) {
      if (record.header.kind !== RecordKind.event) continue;
      const event = await soundOr(undefined, async () => readEvent(await read(backend, record)));
      if (event?.type !== 'removed') continue;
      for (const pack of event.packs) packs.add(pack);
      for (const digest of event.objects) objects.set(digestKey(digest), commit.body.commit);
    }
  }
  return { image, packs, kept, objects };
}

/** Whether a pack that is there, or was, counts no more. */
export function isRemoved({ image, packs, kept }: Removals, pack: number): boolean {
  if (packs.has(pack)) return true;
  return image !== undefined && pack < image.point.pack && kept?.has(pack) === false;
}

async function keptBy(
  backend: Backend,
  image: PendingCommit,
): Promise<ReadonlySet<number> | undefined> {
  const [first] = piecesOf(image);
  if (first === undefined) return undefined;
  const piece = await soundOr(undefined, async () => readImagePiece(await read(backend, first)));
  const head = piece?.items.find((item): item is ImageHead => item.type === 'head');
  return head && new Set(head.packs);
}

/** Its records are all there; of the last commit they must also be sound, for its sync may have been cut short. */
async function isWholeImage(backend: Backend, commit: PendingCommit): Promise<boolean> {
  const pieces = piecesOf(commit);
  const last = pieces.at(-1);
  if (last === undefined) return false;
  if (commit.isLast) {
    if (!commit.matches) return false;
    for (const { location, header } of commit.records) {
      const name = packName(location.pack);
      if (!(await isRecordSound(backend, name, location.position, header))) return false;
    }
  }
  const piece = await soundOr(undefined, async () => readImagePiece(await read(backend, last)));
  return piece?.isLast === true && piece.piece === pieces.length - 1;
}

function piecesOf({ records }: PendingCommit): PendingRecord[] {
  return records
    .filter(({ header }) => header.kind === RecordKind.image)
    .sort((one, other) => one.header.sequence - other.header.sequence);
}

export class ImageLoader {
  damagedRecords = 0;
  isMetadataLost = false;
  /** Records of contents that are not what their checksums say. */
  private readonly unsound: PendingRecord[] = [];
  private hasGaps = false;
  private readonly breathe = breather();
  private readonly catalog: Catalog;
  private readonly backend: Backend;
  private readonly contents: ContentRecords;
  private readonly removals: Removals;

  constructor(catalog: Catalog, backend: Backend, contents: ContentRecords, removals: Removals) {
    this.catalog = catalog;
    this.backend = backend;
    this.contents = contents;
    this.removals = removals;
  }

  /** Fills an empty catalog up to the image's commit; in a transaction of its own. */
  async load(image: PendingCommit, onPack: (pack: number) => void): Promise<void> {
    const { catalog } = this;
    catalog.begin();
    try {
      const { head, objects, damaged } = await this.loadPieces(image);
      await this.loadContents(image, onPack);
      for (const digest of objects) {
        const removedIn = this.removals.objects.get(digestKey(digest)) ?? 0;
        if (removedIn > image.body.commit) continue;
        await this.breathe();
        await this.contents.applyObject(digest);
      }
      this.settleDamage();
      breakDependants(catalog);
      for (const digest of damaged) applyDamage(catalog, digest);
      if (head === undefined) this.isMetadataLost = true;
      else if (head.doubtfulUpTo > 0) catalog.state.writeDoubtfulUpTo(head.doubtfulUpTo);
      catalog.state.write(image.body.counters, image.point);
      noteImage(catalog, image.records);
      catalog.commit();
    } catch (error) {
      catalog.rollback();
      throw error;
    }
  }

  private async loadPieces(image: PendingCommit): Promise<SaidOfContents> {
    let head: ImageHead | undefined;
    const objects: Buffer[] = [];
    const damaged: Buffer[] = [];
    for (const record of piecesOf(image)) {
      await this.breathe();
      const piece = await soundOr<ImagePiece | undefined>(undefined, async () =>
        readImagePiece(await read(this.backend, record)),
      );
      if (piece === undefined) {
        this.damagedRecords += 1;
        this.isMetadataLost = true;
        continue;
      }
      for (const item of piece.items) {
        if (item.type === 'head') head = item;
        else if (item.type === 'objects') objects.push(...item.digests);
        else if (item.type === 'damaged') damaged.push(...item.digests);
        this.catalog.image.load(item, (rows, at) =>
          contentOfRow(this.catalog, rows, at, NOTHING_KNOWN),
        );
      }
    }
    return { head, objects, damaged };
  }

  /** Of the packs that were there before the image, all records with contents: no commit need cover them. */
  private async loadContents(image: PendingCommit, onPack: (pack: number) => void): Promise<void> {
    const there = await listPacks(this.backend);
    const first = image.point.pack;
    for (const pack of this.removals.kept ?? []) {
      if (!there.includes(pack) && !isRemoved(this.removals, pack)) this.damagedRecords += 1;
    }
    for (const pack of there) {
      if (pack > first || isRemoved(this.removals, pack)) continue;
      onPack(pack);
      await this.loadPack(pack, pack === first ? image.point.position : Infinity);
    }
  }

  private async loadPack(pack: number, end: number): Promise<void> {
    for await (const scanned of scanPack(this.backend, pack, 0, true)) {
      if (scanned.position >= end) return;
      await this.breathe();
      const { header, index, position } = scanned;
      this.hasGaps ||= scanned.isAfterGap;
      if (header.sequence > 0) continue;
      const record = { header, index, location: { pack, position } };
      if (await isRecordSound(this.backend, packName(pack), position, header)) {
        const isApplied = await soundOr(false, async () => {
          await this.contents.apply(record, NO_PACKS);
          return true;
        });
        if (!isApplied) this.damagedRecords += 1;
        continue;
      }
      this.unsound.push(record);
    }
  }

  /**
   * Of the records that are not sound those count that hold what is needed, and is nowhere else: the others are
   * what a session that died has left.
   */
  private settleDamage(): void {
    const { contents, history } = this.catalog;
    for (const record of this.unsound) {
      const isNeeded = digestsIn(record).some(
        (digest) => contents.find(digest)?.isStored === false,
      );
      if (!isNeeded) continue;
      this.damagedRecords += 1;
      this.contents.applyUnsound(record);
    }
    if (this.hasGaps) this.damagedRecords += history.lostVersions;
  }
}

/** What a record holds, if its index makes sense. */
function digestsIn({ header, index }: PendingRecord): Buffer[] {
  try {
    return digestsOf(header, index);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    return [];
  }
}

/** Remembers where an image is, if a commit has one. */
export function noteImage(catalog: Catalog, records: readonly PendingRecord[]): void {
  const pieces = records.filter(({ header }) => header.kind === RecordKind.image);
  const first = pieces[0];
  if (first === undefined) return;
  const bytes = pieces.reduce((sum, { header }) => sum + recordBytes(header), 0);
  catalog.state.writeImage({ ...first.location, bytes });
}

function read(backend: Backend, { header, location }: PendingRecord) {
  return readRecord(backend, packName(location.pack), location.position, recordBytes(header));
}

/** What `work` gives; `otherwise` when it meets damage. */
async function soundOr<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    return otherwise;
  }
}
