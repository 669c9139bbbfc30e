/** Implements `regenerate --stdout`, `--to-device`, `--tar` and `--zip`: writes one file, or an archive, as a stream of bytes. */
import { sparseData, SparseWriter, zeros } from '../../contents/index.js';
import { noAccess, noSuchPath, Unsaved } from '../../history/index.js';
import {
  type ArchiveRequest,
  ByteSink,
  ContentReader,
  type RestoreFailure,
  type StreamMeans,
  writeTar,
  writeZip,
} from '../../restore/index.js';
import { TardisError, toWire, usageError } from '../../errors/index.js';
import { displayName, EntryType, isSparse, type SetNumber, sizeIn } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { writeWholeFile } from '../shared/whole-file.js';

/** Returns a sink that waits for each write, so that a slow reader delays the work but uses no memory. */
function stdoutSink(): ByteSink {
  return new ByteSink(
    (bytes) =>
      new Promise((resolve) => {
        process.stdout.write(bytes, (error) => {
          if (error === null || error === undefined) resolve(); // a write error ends the process
        });
      }),
  );
}

/** Receives one content, in order: its bytes, and the positions up to which there are only zeros. */
interface ContentTarget extends Disposable {
  /** Number of bytes so far. */
  readonly bytes: number;
  write(bytes: Buffer): Promise<void>;
  zerosTo(position: number): Promise<void>;
  flush(): Promise<void>;
}

/** Returns standard output as a target. Zeros are written, since a pipe cannot have holes. */
export function stdoutTarget(): ContentTarget {
  const sink = stdoutSink();
  return {
    get bytes() {
      return sink.bytes;
    },
    write: (bytes) => sink.write(bytes),
    flush: () => sink.flush(),
    async zerosTo(position) {
      for (const bytes of zeros(position - sink.bytes)) await sink.write(bytes);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/**
 * Writes the content of one file to the target that is opened for its size. Returns what the backup could not save of it.
 * Throws NO_SUCH_PATH, NO_ACCESS, USAGE, CONTENT_DAMAGED.
 */
export async function writeContent(
  system: System,
  { history, progress, signal }: StreamMeans,
  { set, path: wanted }: { readonly set: SetNumber; readonly path: Buffer },
  openTarget: (sizeBytes: number) => ContentTarget,
): Promise<RestoreFailure[]> {
  const entry = await history.find(wanted, set);
  const shown = displayName(wanted);
  if (entry === undefined) throw await noSuchPath(history, set, wanted);
  if (!history.access.mayRead(entry)) throw noAccess(wanted);
  if (entry.type !== EntryType.file) throw usageError(`"${shown}" is not a file`);
  const [pieces] = entry.contentId === undefined ? [[]] : await history.locate([entry]);
  if (pieces === undefined) {
    throw new TardisError('CONTENT_DAMAGED', `the content of "${shown}" is not in the store`);
  }
  using target = openTarget(sizeIn(entry.metadata));
  const reader = new ContentReader(system, history, false, signal);
  try {
    const chunks = reader.bytes(pieces);
    if (isSparse(entry.metadata)) await writeSparse(chunks, target);
    else for await (const bytes of chunks) await target.write(bytes);
    await target.flush();
  } finally {
    reader.close();
  }
  progress.files += 1;
  progress.bytes += target.bytes;
  const unsaved = await Unsaved.of(history, set);
  const errors = [await unsaved.onWayTo(wanted), unsaved.take(entry)];
  return errors
    .filter((error) => error !== undefined)
    .map((error) => ({ path: wanted, error: toWire(error), digest: undefined }));
}

/** Writes a sparse file with its holes as zeros. */
async function writeSparse(chunks: AsyncIterable<Buffer>, target: ContentTarget): Promise<void> {
  const writer = new SparseWriter();
  for await (const bytes of chunks) {
    for (const [data, position] of sparseData(writer, bytes)) {
      await target.zerosTo(position);
      await target.write(data);
    }
  }
  await target.zerosTo(writer.finish());
}

interface ArchiveOutput {
  /** Path of the archive; `-` for standard output. */
  readonly file: string;
  readonly isZip: boolean;
  readonly mayReplace: boolean;
}

/** Writes an archive to standard output, or to a file as `writeWholeFile` does. */
export function writeArchiveTo(
  system: System,
  means: StreamMeans,
  request: ArchiveRequest,
  { file, isZip, mayReplace }: ArchiveOutput,
): Promise<RestoreFailure[]> {
  const write = (sink: ByteSink): Promise<RestoreFailure[]> =>
    isZip
      ? writeZip(system, means, { ...request, mayDeflate: () => true }, sink)
      : writeTar(system, means, request, sink);
  return file === '-' ? write(stdoutSink()) : writeWholeFile(system, { file, mayReplace }, write);
}
