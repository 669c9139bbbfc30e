/** `regenerate --stdout` and `--tar`: one file, or an archive, as a stream of bytes. */
import path from 'node:path';
import { type Archive, noAccess, noSuchPath } from '../archive/index.js';
import {
  ByteSink,
  ContentReader,
  type RestoreFailure,
  type RestoreProgress,
  type TarRequest,
  writeTar,
} from '../restore/index.js';
import { systemCode, TardisError, throwIfAborted } from '../errors/index.js';
import { displayName, EntryType, isSparse } from '../model/index.js';
import type { System } from '../system/index.js';
import { sparseData, SparseWriter, targetFull, temporaryName } from '../workers/index.js';

/** Waits until each write is taken: a slow reader holds the work up, not the memory. */
export function stdoutSink(): ByteSink {
  return new ByteSink(
    (bytes) =>
      new Promise((resolve) => {
        process.stdout.write(bytes, (error) => {
          if (error === null || error === undefined) resolve(); // an error ends the process
        });
      }),
  );
}

/** Writes the content of one file. Throws NO_SUCH_PATH, NO_ACCESS, USAGE, CONTENT_DAMAGED. */
export async function writeContent(
  system: System,
  archive: Archive,
  set: number,
  wanted: Buffer,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<void> {
  const entry = await archive.find(wanted, set);
  const shown = displayName(wanted);
  if (entry === undefined) throw await noSuchPath(archive, set, wanted);
  if (!archive.access.mayRead(entry)) throw noAccess(wanted);
  if (entry.type !== EntryType.file) throw new TardisError('USAGE', `"${shown}" is no file`);
  const [pieces] = entry.contentId === undefined ? [[]] : await archive.locate([entry]);
  if (pieces === undefined) {
    throw new TardisError('CONTENT_DAMAGED', `the content of "${shown}" is not in the store`);
  }
  const sink = stdoutSink();
  const reader = new ContentReader(system, archive);
  try {
    const chunks = until(signal, reader.bytes(pieces));
    if (isSparse(entry.metadata)) await writeSparse(chunks, sink);
    else for await (const bytes of chunks) await sink.write(bytes);
    await sink.flush();
  } finally {
    reader.close();
  }
  progress.files += 1;
  progress.bytes += sink.bytes;
}

/** Throws INTERRUPTED. */
async function* until(signal: AbortSignal, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const bytes of chunks) {
    throwIfAborted(signal);
    yield bytes;
  }
}

const ZEROS = Buffer.alloc(64 << 10);

/** A sparse file with its holes as zeros: a pipe has none. */
async function writeSparse(chunks: AsyncIterable<Buffer>, sink: ByteSink): Promise<void> {
  const writer = new SparseWriter();
  const fillTo = async (position: number): Promise<void> => {
    while (sink.bytes < position) {
      await sink.write(ZEROS.subarray(0, Math.min(ZEROS.length, position - sink.bytes)));
    }
  };
  for await (const bytes of chunks) {
    for (const [data, position] of sparseData(writer, bytes)) {
      await fillTo(position);
      await sink.write(data);
    }
  }
  await fillTo(writer.finish());
}

export interface TarOutput {
  /** `-` for standard output. */
  readonly file: string;
  readonly mayReplace: boolean;
}

/** Writes an archive; a file gets its name when it is whole. Throws TARGET_EXISTS, TARGET_FULL. */
export async function writeTarTo(
  system: System,
  archive: Archive,
  request: TarRequest,
  { file, mayReplace }: TarOutput,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<RestoreFailure[]> {
  if (file === '-') {
    return writeTar(system, archive, request, stdoutSink(), progress, signal);
  }
  const { files } = system;
  const taken = files.status(file);
  if (taken !== undefined && !(mayReplace && taken.isFile)) {
    throw new TardisError('TARGET_EXISTS', `${file} is there already`);
  }
  const temporary = path.join(path.dirname(file), temporaryName(system, '.tardis-'));
  let fd: number;
  try {
    fd = files.open(temporary, 'create');
  } catch (error) {
    const code = systemCode(error) ?? 'unknown';
    throw new TardisError('TARGET_NOT_WRITABLE', `cannot make ${file}: ${code}`, {}, error);
  }
  let isWhole = false;
  try {
    let position = 0;
    const sink = new ByteSink(async (bytes) => {
      files.write(fd, bytes, position);
      position += bytes.length;
    });
    const failures = await writeTar(system, archive, request, sink, progress, signal);
    files.rename(temporary, file);
    isWhole = true;
    return failures;
  } catch (error) {
    throw targetFull(error) ?? error;
  } finally {
    files.close(fd);
    if (!isWhole) files.unlink(temporary);
  }
}
