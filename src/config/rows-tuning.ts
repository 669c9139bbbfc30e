/**
 * Settings that tune a backup to a machine, from a Raspberry Pi to a desktop. Section `[Pipeline]` of the client's file
 * may have them, too.
 */
import { amount, choice, type PartialTable, row, tuningRows } from './row.js';
import { BACKUPS } from './tools.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

export const TUNING_ROWS = tuningRows(BACKUPS, 'client', {
  budgetBytes: amount('size', ['--budget <size>', 'Budget'], [12 * MIB, MIB, 4096 * MIB], {
    help: 'maximum bytes of contents that are read and not yet received by the server; reading pauses at this limit',
  }),
  linkBudgetBytes: amount('size', '--link-budget <size>', [24 * MIB, 0, 4096 * MIB], {
    tools: ['tardis'],
    clientKey: 'LinkBudget',
    help: 'maximum bytes that are added to --budget on a link with a long round-trip time (100 ms need 16M)',
  }),
  budgetItems: amount('int', ['--budget-items <n>', 'BudgetItems'], [32_768, 64, 1 << 24], {
    help: 'maximum number of entries that are read and not yet received by the server',
  }),
  parcelBytes: amount('size', ['--parcel-size <size>', 'ParcelSize'], [2 * MIB, 4 * KIB, 8 * MIB], {
    help: 'maximum bytes in one parcel (files that are read and sent together)',
  }),
  frameBytes: amount('size', ['--frame-size <size>', 'FrameSize'], [MIB, 4 * KIB, 8 * MIB], {
    help: 'maximum bytes in one frame (small files that are compressed together)',
  }),
  walkConcurrency: amount('int', ['--walk-concurrency <n>', 'WalkConcurrency'], [1, 1, 16], {
    help: 'number of jobs that read directories at the same time',
  }),
  compareConcurrency: amount('int', '--compare-concurrency <n>', [64, 1, 1024], {
    clientKey: 'CompareConcurrency',
    help: 'number of batches of directories that are compared with the last backup at the same time',
  }),
  readConcurrency: amount('int', ['--read-concurrency <n>', 'ReadConcurrency'], [0, 0, 64], {
    help: 'number of jobs that read and hash files at the same time; 0: one more than --workers',
  }),
  buildConcurrency: amount('int', ['--build-concurrency <n>', 'BuildConcurrency'], [0, 0, 64], {
    help: 'number of jobs that compress and encrypt at the same time; 0: one more than --workers',
  }),
  streamConcurrency: amount('int', ['--stream-concurrency <n>', 'StreamConcurrency'], [0, 0, 16], {
    help: 'number of large files, or parts of them, that are sent at the same time; 0: as many as --workers',
  }),
  largeConcurrency: amount('int', ['--large-concurrency <n>', 'LargeConcurrency'], [0, 0, 64], {
    help: 'maximum number of large files in progress, including those that wait for the server; 0: the larger of 8 and --stream-concurrency',
  }),
  sendConcurrency: amount('int', ['--send-concurrency <n>', 'SendConcurrency'], [1024, 1, 65_536], {
    help: 'maximum number of parcels that are sent and not yet received by the server; --budget limits their bytes',
  }),
  codec: choice(['--compress-data <codec>', 'CompressData'], ['zstd', 'none', 'zlib', 'snappy'], {
    refused: {
      bzip: 'zstd is smaller and faster',
      lzma: 'zstd with a CompressLevel of up to 19 is nearly as small, and much faster to read',
    },
    help: 'compression of contents: zstd, zlib, snappy or none',
  }),
  compressLevel: amount('int', ['--compress-level <n>', 'CompressLevel'], [1, 1, 19], {
    help: 'level of zstd (1 to 19) or zlib (1 to 9)',
  }),
  changeLevel: amount('int', ['--change-level <n>', 'ChangeLevel'], [8, 1, 19], {
    help: 'compression level for what changed since the last backup, if higher than --compress-level',
  }),
  changeFrameBytes: amount('size', '--change-frame-size <size>', [4 * MIB, 4 * KIB, 8 * MIB], {
    clientKey: 'ChangeFrameSize',
    help: 'maximum bytes in one frame of changes, if more than --frame-size; files up to a quarter of this size share frames',
  }),
  changeBytes: amount('size', '--change-size <size>', [64 * MIB, 0, 4096 * MIB * 1024], {
    clientKey: 'ChangeSize',
    help: 'in each backup after the first, compress up to this much data with --change-level and --change-frame-size, and further data with --compress-level and --frame-size',
  }),
  compressMinBytes: amount('size', ['--compress-min <size>', 'CompressMin'], [0, 0, 4096 * MIB], {
    help: 'store files smaller than this uncompressed',
  }),
  noCompress: row('texts', ['--nocompress <type>', 'NoCompress'], {
    help: 'MIME types (video/mp4, image/*) or file name extensions (.iso) to store uncompressed, in addition to the built-in list',
  }),
  noCompressFile: row('path', ['--nocompress-file <file>', 'NoCompressFile', 'TARDIS_NOCOMPRESS'], {
    help: 'file with types to store uncompressed',
  }),
  checksumAboveBytes: amount('size', '--checksum-content <size>', [0, 0, 4096 * MIB * 1024], {
    clientKey: 'ChecksumContent',
    help: 'hash files larger than this before sending them, so that known contents are not sent; 0: do so only for files that the server probably has',
  }),
  bandwidthLimit: row('rates', ['--bandwidth-limit <rate>', 'BandwidthLimit'], {
    tools: ['tardis'],
    defaultText: 'no limit',
    help: 'maximum bytes to send per second: 1M, or 08:00-18:00=500K,*=5M by time of day; none: no limit',
  }),
  compressMessages: choice(['--compress-msgs <codec>', 'CompressMsgs'], ['none', 'snappy'], {
    tools: ['tardis'],
    refused: { zlib: 'snappy is faster', 'zlib-stream': 'messages are compressed singly: snappy' },
    help: 'compression of the metadata that is sent: none or snappy',
  }),
} as const satisfies PartialTable);
