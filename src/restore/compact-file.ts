/**
 * A file to restore, as it is held until its record is read. Many thousands are held at once, and a view of some bytes
 * takes V8 more memory than all other fields of a file. So name and metadata are kept as places in the memory of their
 * listing, and views are made when they are needed.
 */
import type { HistoryEntry } from '../history/index.js';
import type { ContentId } from '../model/index.js';
import type { FileToRestore } from './plan.js';

export class CompactFile implements FileToRestore {
  readonly contentId: ContentId | undefined;
  readonly digest: Buffer | undefined;
  readonly proof: HistoryEntry['proof'];
  readonly how: number;
  readonly directory: FileToRestore['directory'];
  private readonly nameIn: ArrayBufferLike;
  private readonly nameAt: number;
  private readonly nameBytes: number;
  private readonly metadataIn: ArrayBufferLike;
  private readonly metadataAt: number;
  private readonly metadataBytes: number;

  constructor(
    { contentId, digest, proof, metadata }: HistoryEntry,
    { directory, name, how }: Pick<FileToRestore, 'directory' | 'name' | 'how'>,
  ) {
    this.contentId = contentId;
    this.digest = digest;
    this.proof = proof;
    this.how = how;
    this.directory = directory;
    this.nameIn = name.buffer;
    this.nameAt = name.byteOffset;
    this.nameBytes = name.length;
    this.metadataIn = metadata.buffer;
    this.metadataAt = metadata.byteOffset;
    this.metadataBytes = metadata.length;
  }

  get name(): Buffer {
    return Buffer.from(this.nameIn, this.nameAt, this.nameBytes);
  }

  get metadata(): Buffer {
    return Buffer.from(this.metadataIn, this.metadataAt, this.metadataBytes);
  }
}
