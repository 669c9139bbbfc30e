/**
 * Settings that tune a backup to a machine, from a Raspberry Pi to a desktop. Section `[Pipeline]` of the client's file
 * may have them, too.
 */
import { amount, type PartialTable, row, rowsFor } from './row.js';
import { BACKUPS } from './tools.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

export const TUNING_ROWS = rowsFor({ tools: BACKUPS, isTuning: true }, {
  budgetBytes: amount('size', '--budget <size>', [12 * MIB, MIB, 4096 * MIB], {
    clientKey: 'Budget',
    help: 'maximum bytes of contents that are read and not yet received by the server; reading pauses at this limit',
  }),
  linkBudgetBytes: amount('size', '--link-budget <size>', [24 * MIB, 0, 4096 * MIB], {
    tools: ['tardis'],
    clientKey: 'LinkBudget',
    help: 'maximum bytes that are added to --budget on a link with a long round-trip time (100 ms need 16M)',
  }),
  budgetItems: amount('int', '--budget-items <n>', [32_768, 64, 1 << 24], {
    clientKey: 'BudgetItems',
    help: 'maximum number of entries that are read and not yet received by the server',
  }),
  parcelBytes: amount('size', '--parcel-size <size>', [2 * MIB, 4 * KIB, 8 * MIB], {
    clientKey: 'ParcelSize',
    help: 'maximum bytes in one parcel (files that are read and sent together)',
  }),
  frameBytes: amount('size', '--frame-size <size>', [MIB, 4 * KIB, 8 * MIB], {
    clientKey: 'FrameSize',
    help: 'maximum bytes in one frame (small files that are compressed together)',
  }),
  walkConcurrency: amount('int', '--walk-concurrency <n>', [1, 1, 16], {
    clientKey: 'WalkConcurrency',
    help: 'number of jobs that read directories at the same time',
  }),
  compareConcurrency: amount('int', '--compare-concurrency <n>', [64, 1, 1024], {
    clientKey: 'CompareConcurrency',
    help: 'number of batches of directories that are compared with the last backup at the same time',
  }),
  readConcurrency: amount('int', '--read-concurrency <n>', [0, 0, 64], {
    clientKey: 'ReadConcurrency',
    help: 'number of jobs that read and hash files at the same time; 0: one more than --workers',
  }),
  buildConcurrency: amount('int', '--build-concurrency <n>', [0, 0, 64], {
    clientKey: 'BuildConcurrency',
    help: 'number of jobs that compress and encrypt at the same time; 0: one more than --workers',
  }),
  streamConcurrency: amount('int', '--stream-concurrency <n>', [0, 0, 16], {
    clientKey: 'StreamConcurrency',
    help: 'number of large files, or parts of them, that are sent at the same time; 0: as many as --workers',
  }),
  largeConcurrency: amount('int', '--large-concurrency <n>', [0, 0, 64], {
    clientKey: 'LargeConcurrency',
    help: 'maximum number of large files in progress, including those that wait for the server; 0: the larger of 8 and --stream-concurrency',
  }),
  sendConcurrency: amount('int', '--send-concurrency <n>', [1024, 1, 65_536], {
    clientKey: 'SendConcurrency',
    help: 'maximum number of parcels that are sent and not yet received by the server; --budget limits their bytes',
  }),
  codec: row('choice', '--compress-data <codec>', {
    choices: ['zstd', 'none', 'zlib', 'snappy'],
    refused: {
      bzip: 'zstd is smaller and faster',
      lzma: 'zstd with a CompressLevel of up to 19 is nearly as small, and much faster to read',
    },
    default: 'zstd',
    clientKey: 'CompressData',
    help: 'compression of contents: zstd, zlib, snappy or none',
  }),
  compressLevel: amount('int', '--compress-level <n>', [1, 1, 19], {
    clientKey: 'CompressLevel',
    help: 'level of zstd (1 to 19) or zlib (1 to 9)',
  }),
  changeLevel: amount('int', '--change-level <n>', [8, 1, 19], {
    clientKey: 'ChangeLevel',
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
  compressMinBytes: amount('size', '--compress-min <size>', [0, 0, 4096 * MIB], {
    clientKey: 'CompressMin',
    help: 'store files smaller than this uncompressed',
  }),
  noCompress: row('texts', '--nocompress <type>', {
    clientKey: 'NoCompress',
    help: 'MIME types (video/mp4, image/*) or file name extensions (.iso) to store uncompressed, in addition to the built-in list',
  }),
  noCompressFile: row('path', '--nocompress-file <file>', {
    variable: 'TARDIS_NOCOMPRESS',
    clientKey: 'NoCompressFile',
    help: 'file with types to store uncompressed',
  }),
  checksumAboveBytes: amount('size', '--checksum-content <size>', [0, 0, 4096 * MIB * 1024], {
    clientKey: 'ChecksumContent',
    help: 'hash files larger than this before sending them, so that known contents are not sent; 0: do so only for files that the server probably has',
  }),
  bandwidthLimit: row('rates', '--bandwidth-limit <rate>', {
    tools: ['tardis'],
    clientKey: 'BandwidthLimit',
    defaultText: 'no limit',
    help: 'maximum bytes to send per second: 1M, or 08:00-18:00=500K,*=5M by time of day; none: no limit',
  }),
  compressMessages: row('choice', '--compress-msgs <codec>', {
    tools: ['tardis'],
    choices: ['none', 'snappy'],
    refused: { zlib: 'snappy is faster', 'zlib-stream': 'messages are compressed singly: snappy' },
    default: 'none',
    clientKey: 'CompressMsgs',
    help: 'compression of the metadata that is sent: none or snappy',
  }),
} as const satisfies PartialTable);
