/** Unchecked rows passed to the addon. It must not read or write past their end. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemCode } from '../../../src/errors/index.js';
import {
  BODY_BYTES,
  BodyOffset,
  FETCHED_BODY,
  GatherCursor,
  LEFT_NUMBERS,
  RestoreCount,
} from '../../../src/system/index.js';
import { loadNative, MetadataOption } from '../../../src/system/native.js';
import { NO_RECORD, PLACE_NUMBERS } from '../../../src/workers/index.js';
import { magnitude, type Target } from '../engine/target.js';
import { identityAt } from '../../helpers/identities.js';
import { sampleRows } from '../samples/rows.js';

const native = loadNative();
const NAME = Buffer.from('made');
const OPTIONS =
  MetadataOption.setOwner | MetadataOption.forgiveOwner | MetadataOption.dropInherited;
const FILE_BYTES = 100;

interface Ground {
  readonly folder: string;
  readonly fd: number;
  readonly listed: number;
  readonly file: number;
  /** A directory for restored files. */
  readonly restored: number;
}

let ground: Ground | undefined;

/** Returns a directory to work in, which is created once. */
function open(): Ground {
  if (ground !== undefined) return ground;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rows-'));
  mkdirSync(path.join(folder, 'listed'));
  mkdirSync(path.join(folder, 'restored'));
  for (const name of ['a', 'b', 'c', 'd']) writeFileSync(path.join(folder, 'listed', name), 'x');
  writeFileSync(path.join(folder, 'file'), 'y'.repeat(FILE_BYTES));
  const fd = openSync(folder, 'r');
  const restored = openSync(path.join(folder, 'restored'), 'r');
  readFiles(folder, Buffer.alloc(0), 0); // throws if an argument besides the rows is malformed: no row would ever be read
  const listed = openSync(path.join(folder, 'listed'), 'r');
  ground = { folder, fd, listed, file: openSync(path.join(folder, 'file'), 'r+'), restored };
  process.on('exit', () => {
    closeSync(fd);
    rmSync(folder, { recursive: true, force: true });
  });
  return ground;
}

/** Returns the code of a system error. Rethrows any other error, which is a fault. */
function code(call: () => unknown): string {
  try {
    call();
    return 'done';
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    return code;
  }
}

/** Writes the row's file as an empty one; then the rows are taken as all other arguments, too. */
function restoreFiles(folder: string, fd: number, rows: Buffer, at: number): void {
  const none = Buffer.alloc(0);
  const empty = new Uint8Array(Uint32Array.of(0, NO_RECORD, 0, 0).buffer);
  const noPath = new Uint8Array(4);
  for (const [places, bytes, ends] of [
    [empty, none, noPath],
    [rows, rows, rows],
  ] as const) {
    const files = Math.floor(places.length / (4 * PLACE_NUMBERS));
    const undecided = Buffer.alloc(files * 4 * LEFT_NUMBERS);
    const counts = new Uint8Array(8 * RestoreCount.numbers);
    try {
      void native.restoreFiles(
        fd,
        bytes,
        ends,
        rows.subarray(at),
        places,
        withoutFiles(bytes),
        bytes,
        none,
        OPTIONS,
        bytes,
        bytes,
        undecided,
        counts,
        false,
      );
    } finally {
      for (const name of readdirSync(folder, { encoding: 'buffer' })) {
        unlinkSync(Buffer.concat([Buffer.from(`${folder}/`), name]));
      }
    }
  }
}

/** Returns descriptions of bodies in memory, so that no descriptor of this process is read. */
function withoutFiles(bodies: Buffer): Buffer {
  const inMemory = Buffer.from(bodies);
  for (let at = 0; at + BODY_BYTES <= inMemory.length; at += BODY_BYTES) {
    inMemory.writeInt32LE(FETCHED_BODY, at + BodyOffset.fd);
  }
  return inMemory;
}

/** Reads files as for a backup. The first bytes of the rows, as numbers, say where everything is. */
function readFiles(folder: string, rows: Buffer, at: number): void {
  const places = new Uint8Array(17 * 2);
  const table = new Uint8Array(new SharedArrayBuffer(32 * 3));
  const none = Buffer.alloc(0);
  const [room, digests, out] = [Buffer.alloc(FILE_BYTES + 1), Buffer.alloc(64), Buffer.alloc(400)];
  const whole = new Float64Array(GatherCursor.numbers);
  whole[GatherCursor.isKept] = 1;
  const chosen = whole.slice();
  chosen.set(rows.subarray(0, GatherCursor.rawBelowBytes));
  const path = Buffer.from(folder);
  const [pathEnds, rowEnds] = [path.length, rows.length - at].map(
    (end) => new Uint8Array(Uint32Array.of(end).buffer),
  );
  for (const cursor of [whole, chosen]) {
    void native.readParcel(
      path,
      rows.subarray(at),
      room,
      digests,
      out,
      places,
      table,
      none,
      rows,
      new Uint8Array(cursor.buffer),
      pathEnds!,
      rowEnds!,
      new Uint8Array(4),
      identityAt(folder),
      new Uint8Array(64),
      false,
    );
  }
}

export const target: Target = {
  about: 'unchecked rows in the native addon: refused with a system error, or taken as they are',
  seeds: () => sampleRows().map((rows) => Buffer.concat([Buffer.alloc(2), rows])),
  fuzz: (data) => {
    const { folder, fd, listed, file, restored } = open();
    // The first two bytes are the offset of the row. The rows end where their memory ends.
    const at = data.length < 2 ? 0 : data.readUInt16LE(0);
    const rows = Buffer.from(new Uint8Array(data.subarray(2)).buffer);
    const room = Buffer.alloc(FILE_BYTES + 1);
    const digest = Buffer.alloc(32);
    const words = [
      code(() => native.hashRows(rows)),
      code(() => native.inspectRows(rows, 0n, identityAt(folder))),
      code(() => native.noDumpRows(listed, rows)),
      code(() => native.forbiddenRows(listed, rows)),
      code(() => native.writeFileAt(fd, NAME, room, 0, 5, rows, at, OPTIONS)),
      code(() => native.unlinkAt(fd, NAME)),
      code(() => native.symlinkAt(fd, NAME, Buffer.from('to'), rows, at, OPTIONS)),
      code(() => native.unlinkAt(fd, NAME)),
      code(() => native.makeNodeAt(fd, NAME, rows, at, 0)),
      code(() => native.unlinkAt(fd, NAME)),
      code(() => native.finishFile(file, rows, at, 0)),
      code(() => restoreFiles(path.join(folder, 'restored'), restored, rows, at)),
      code(() => readFiles(folder, rows, Math.min(at, rows.length))),
      code(() => native.digestContents(room, Buffer.from(rows))),
      code(() =>
        native.readFileAt(fd, Buffer.from('file'), rows, at, room, 0, FILE_BYTES, digest, 0),
      ),
    ];
    return `${words.join()} ${magnitude(readdirSync(folder).length)}`;
  },
  tokens: ['system.posix_acl_access', 'security.x', 'user.x'],
};
