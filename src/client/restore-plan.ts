/** Puts files in the order of the packs and groups those that share records into jobs. */
import type { ArchiveEntry, ContentLocation, ContentPiece } from '../archive/index.js';
import { encodeRow } from '../model/index.js';
import type { RestoreFile, RestoreInput, RestoreRecord } from '../workers/index.js';

export interface FileToRestore {
  readonly entry: ArchiveEntry;
  /** Beneath the target. */
  readonly directory: Buffer;
  readonly name: Buffer;
}

export interface RestoreJob {
  readonly input: Pick<RestoreInput, 'records' | 'rows' | 'directories' | 'files'>;
  /** The files of the input, in its order. */
  readonly files: readonly FileToRestore[];
  /** Decoded bytes, for bounding what is in flight. */
  readonly bytes: number;
}

/** A job ends with the record in which it reaches one of these. */
const JOB_BYTES = 2 << 20;
const JOB_FILES = 512;

interface Located {
  readonly file: FileToRestore;
  readonly pieces: readonly ContentPiece[];
}

/** `missing`: files whose content is not in the store. */
export function planJobs(
  files: readonly FileToRestore[],
  locations: readonly ContentLocation[],
): { jobs: RestoreJob[]; missing: FileToRestore[] } {
  const located: Located[] = [];
  const missing: FileToRestore[] = [];
  for (const [index, file] of files.entries()) {
    const hasContent = file.entry.contentId !== undefined;
    const pieces = hasContent ? locations[index] : [];
    if (pieces === undefined) missing.push(file);
    else located.push({ file, pieces });
  }
  located.sort(byPlace);
  const jobs: RestoreJob[] = [];
  let builder = new JobBuilder();
  for (const item of located) {
    if (builder.isFull && !builder.endsWith(item.pieces)) {
      jobs.push(builder.build());
      builder = new JobBuilder();
    }
    builder.add(item);
  }
  if (builder.count > 0) jobs.push(builder.build());
  return { jobs, missing };
}

function byPlace(a: Located, b: Located): number {
  const [first, second] = [a.pieces[0], b.pieces[0]];
  if (first === undefined || second === undefined) {
    return (first === undefined ? 0 : 1) - (second === undefined ? 0 : 1);
  }
  if (first.object !== second.object) return first.object < second.object ? -1 : 1;
  return first.position - second.position || first.offset - second.offset;
}

class JobBuilder {
  private readonly records: RestoreRecord[] = [];
  private readonly recordNumbers = new Map<string, number>();
  private readonly rows: Buffer[] = [];
  private rowAt = 0;
  private readonly directories: Buffer[] = [];
  private readonly directoryNumbers = new Map<string, number>();
  private readonly restoreFiles: RestoreFile[] = [];
  private readonly files: FileToRestore[] = [];
  private bytes = 0;

  get count(): number {
    return this.files.length;
  }

  get isFull(): boolean {
    return this.bytes >= JOB_BYTES || this.files.length >= JOB_FILES;
  }

  /** Whether the last record added is the one these pieces begin in. */
  endsWith(pieces: readonly ContentPiece[]): boolean {
    const last = this.records.at(-1);
    const first = pieces[0];
    return last?.object === first?.object && last?.position === first?.position;
  }

  add({ file, pieces }: Located): void {
    const row = encodeRow({ ...file.entry, digest: undefined });
    this.rows.push(row);
    this.restoreFiles.push({
      rowAt: this.rowAt,
      directory: this.directoryNumber(file.directory),
      name: file.name,
      pieces: pieces.map((piece) => ({
        record: this.recordNumber(piece),
        digest: piece.digest,
        sizeBytes: piece.sizeBytes,
        offset: piece.offset,
      })),
    });
    this.files.push(file);
    this.rowAt += row.length;
    this.bytes += file.entry.sizeBytes;
  }

  build(): RestoreJob {
    const { records, directories, files, bytes } = this;
    const rows = Buffer.concat(this.rows);
    return { input: { records, rows, directories, files: this.restoreFiles }, files, bytes };
  }

  private recordNumber(piece: ContentPiece): number {
    const key = `${piece.object}@${piece.position}`;
    let number = this.recordNumbers.get(key);
    if (number === undefined) {
      number = this.records.length;
      const { object, position, recordBytes } = piece;
      this.records.push({ object, position, recordBytes });
      this.recordNumbers.set(key, number);
    }
    return number;
  }

  private directoryNumber(directory: Buffer): number {
    const key = directory.toString('latin1');
    let number = this.directoryNumbers.get(key);
    if (number === undefined) {
      number = this.directories.length;
      this.directories.push(directory);
      this.directoryNumbers.set(key, number);
    }
    return number;
  }
}
