/** Determines what is read of a large file: its bytes, or its sparse form. */
import { RowFlag, RowReader } from '../model/index.js';
import { type JobRunner, SparseMap } from '../workers/index.js';
import { type Source, UnreadableFile } from './large-file.js';
import type { LargeFile } from './parcel.js';
import { signatureBlocks } from './signature-sender.js';

/**
 * Returns the source of a large file. A file with fewer blocks than its size is checked for holes. With `hashSparse` a
 * sparse file is hashed first: the server stores only sizes of sparse forms, so only the digest shows whether it has
 * the content. Throws UnreadableFile.
 */
export async function sourceOf(
  jobs: JobRunner,
  file: LargeFile,
  hashSparse: boolean,
): Promise<Source> {
  const { directoryPath, row, sizeBytes } = file;
  const dense = {
    ...file,
    sparseHead: undefined,
    formBytes: sizeBytes,
    blockBytes: signatureBlocks(sizeBytes, sizeBytes),
  };
  if ((new RowReader(row).flags(0) & RowFlag.sparse) === 0) return dense;
  const { output } = await jobs.run('holes', { directoryPath, row });
  if (output.failure !== '') throw new UnreadableFile(output.failure);
  if (output.head.length === 0) return dense;
  const map = new SparseMap(output.head);
  return {
    ...file,
    sizeBytes: map.fileBytes,
    sparseHead: output.head,
    formBytes: map.formBytes,
    blockBytes: signatureBlocks(map.formBytes, map.fileBytes),
    hashFirst: hashSparse,
  };
}
