/** Whole packs: the scan that finds records, and the reader that decodes contents, frames and chunks. */
import { createHash } from 'node:crypto';
import { ReusedBuffers, RecordReader, type RecordPiece } from '../../../src/contents/index.js';
import {
  isRecordSound,
  packName,
  readContentIndex,
  readFrameIndex,
  recordBytes,
  RecordKind,
  type ScannedRecord,
  scanPack,
} from '../../../src/store/index.js';
import { MemoryBackend } from '../../support/memory-backend.js';
import { loadNative } from '../../../src/system/native.js';
import { magnitude, must, refusal, type Target } from '../engine/target.js';
import { contentRecords, metadataRecords, withChecksums } from '../samples/records.js';

const CODES = ['RECORD_DAMAGED', 'CONTENT_DAMAGED', 'STORE_NEWER', 'PASSWORD_NEEDED'] as const;
const PACK = 1;
const native = loadNative();

function piecesOf({ header, index }: ScannedRecord): RecordPiece[] {
  if (header.kind === RecordKind.frame) return readFrameIndex(header, index);
  if (header.kind !== RecordKind.content && header.kind !== RecordKind.part) return [];
  const { digest, sizeBytes } = readContentIndex(index);
  return [{ digest, sizeBytes, offset: 0 }];
}

/** Reads all pieces of a record; a piece that is read without an error must match its digest. */
async function readPieces(backend: MemoryBackend, record: ScannedRecord): Promise<string> {
  const { header, position } = record;
  const place = { object: packName(PACK), position, recordBytes: recordBytes(header) };
  const reader = new RecordReader(backend, native, new ReusedBuffers());
  const words: string[] = [];
  try {
    for (const piece of piecesOf(record)) {
      const hash = createHash('sha256');
      for await (const part of reader.pieceBytes(place, piece)) hash.update(part);
      must(hash.digest().equals(piece.digest), 'a content that was read is not what it should be');
      words.push('read');
    }
  } catch (error) {
    words.push(refusal(error, CODES));
  } finally {
    reader.release();
  }
  return words.slice(-2).join();
}

async function scan(backend: MemoryBackend, sizeBytes: number, skip: boolean): Promise<string> {
  const words: string[] = [];
  let end = 0;
  try {
    for await (const record of scanPack(backend, PACK, 0, skip)) {
      const { header, position } = record;
      must(position >= end && (position === end || skip), 'a record overlaps another');
      end = position + recordBytes(header);
      must(end <= sizeBytes, 'a record ends behind its pack');
      const isSound = await isRecordSound(backend, packName(PACK), position, header);
      words.push(`${header.kind} ${isSound} ${await readPieces(backend, record)}`);
    }
  } catch (error) {
    words.push(refusal(error, CODES));
  }
  return `${magnitude(words.length)} ${words.at(-1) ?? ''}`;
}

export const target: Target = {
  about: 'packs: each record that is found lies within, and gives its content or an error',
  seeds: () => [
    Buffer.concat(metadataRecords()),
    ...contentRecords(),
    Buffer.concat([...contentRecords().slice(0, 4), Buffer.alloc(50), ...metadataRecords()]),
  ],
  fuzz: async (data) => {
    const backend = new MemoryBackend();
    backend.create(packName(PACK)).append(data);
    const plain = await scan(backend, data.length, false);
    return `${plain} / ${await scan(backend, data.length, true)}`;
  },
  repair: withChecksums,
};
