/** The first stage of a large file: determines whether its bytes or its sparse form are read. */
import type { OperatorFunction } from 'rxjs';
import { SparseMap } from '../contents/index.js';
import { holdsDevice, RowFlag, RowReader } from '../model/index.js';
import type { Context } from './context.js';
import { deviceHead } from './device-data.js';
import { type OpenedFile, type Source, UnreadableFile } from './large-file.js';
import type { LargeFile } from './parcel.js';
import { signatureBlocks } from './signature-sender.js';
import { stage } from './stage.js';

/** Emits large files with their sources. The caller limits the number of files in work. */
export function openLarge(context: Context): OperatorFunction<LargeFile, OpenedFile> {
  const { open } = context.counters;
  return stage(open, async (file) => {
    const source = await sourceOf(context, file);
    open.count(1, file.sizeBytes, 0);
    return { file, source };
  });
}

/**
 * Returns the source of a large file. A file with fewer blocks than its size is checked for holes, a device for zeros. A sparse file is
 * hashed first unless the server is empty: the server stores only sizes of sparse forms, so only the digest shows
 * whether it has the content. Throws UnreadableFile.
 */
export async function sourceOf(context: Context, file: LargeFile): Promise<Source> {
  const { counters, jobs, peer } = context;
  const { directoryPath, directory, row, sizeBytes } = file;
  const dense = {
    ...file,
    sparseHead: undefined,
    formBytes: sizeBytes,
    blockBytes: signatureBlocks(sizeBytes),
  };
  if ((new RowReader(row).flags(0) & RowFlag.sparse) === 0) return dense;
  const { output, busyMs } = await jobs.run('holes', { directoryPath, directory, row });
  counters.open.count(0, 0, busyMs);
  if (output.failure !== '') throw new UnreadableFile(output.failure);
  // The map is that of the file that has the name now, and so is its row.
  const found = Buffer.from(output.row);
  const isDevice = holdsDevice(new RowReader(found), 0);
  const device = { directoryPath, directory, row: found };
  const head = isDevice ? await deviceHead(context, device, output.sizeBytes) : output.head;
  if (head.length === 0) return { ...dense, row: found };
  const map = new SparseMap(head);
  return {
    ...file,
    row: found,
    sizeBytes: map.fileBytes,
    sparseHead: head,
    formBytes: map.formBytes,
    blockBytes: signatureBlocks(map.formBytes),
    hashFirst: !peer.isEmpty,
  };
}
