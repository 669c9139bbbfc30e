/**
 * Refuses native addons and libraries that are truncated, before the system's loader maps them. The loader would
 * map the missing parts, and the process would die by SIGBUS or SIGSEGV at their first use, without a message.
 *
 * Import this module before any module that loads an addon; it has no exports.
 */
import fs from 'node:fs';
import path from 'node:path';

/** Offsets in the header of a 64-bit ELF file, and in its table of segments. */
const HEADER_BYTES = 64;
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]); // 64 bits, little-endian
const SEGMENTS_AT = 32;
const SECTIONS_AT = 40;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const SEGMENT_COUNT = 56;
const SECTION_COUNT = 60;
const LOADED = 1;

const LIBRARY = /\.so(?:\.\d+)*$/;

const load = process.dlopen.bind(process);
process.dlopen = (module: object, file: string, ...flags: number[]): void => {
  for (const one of [file, ...librariesBeside(file)]) requireWhole(one);
  load(module, file, ...(flags as [number?]));
};

function librariesBeside(file: string): string[] {
  const folder = path.dirname(file);
  try {
    const names = fs.readdirSync(folder).filter((name) => LIBRARY.test(name));
    return names.map((name) => path.join(folder, name));
  } catch {
    return []; // the directory may be entered but not listed
  }
}

/** Throws ERR_DLOPEN_FAILED if a file is shorter than its tables require. The loader checks other files. */
function requireWhole(file: string): void {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch {
    return; // the loader reports why
  }
  try {
    const status = fs.fstatSync(fd);
    if (!status.isFile()) return;
    const sizeBytes = status.size;
    const wantedBytes = bytesByTables(fd, sizeBytes);
    if (wantedBytes <= sizeBytes) return;
    const what = `${file} is cut short: it has ${sizeBytes} of ${wantedBytes} bytes`;
    throw Object.assign(new Error(what), { code: 'ERR_DLOPEN_FAILED' });
  } finally {
    fs.closeSync(fd);
  }
}

function bytesByTables(fd: number, sizeBytes: number): number {
  const header = Buffer.alloc(HEADER_BYTES);
  fs.readSync(fd, header, 0, HEADER_BYTES, 0);
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) return 0;
  const at = Number(header.readBigUInt64LE(SEGMENTS_AT));
  const end = at + header.readUInt16LE(SEGMENT_COUNT) * SEGMENT_BYTES;
  const sections = header.readUInt16LE(SECTION_COUNT) * SECTION_BYTES;
  const tables = Math.max(end, Number(header.readBigUInt64LE(SECTIONS_AT)) + sections);
  if (tables > sizeBytes) return tables;
  const table = Buffer.alloc(end - at);
  fs.readSync(fd, table, 0, table.length, at);
  const ends = [tables];
  for (let from = 0; from < table.length; from += SEGMENT_BYTES) {
    if (table.readUInt32LE(from) !== LOADED) continue;
    ends.push(Number(table.readBigUInt64LE(from + 8) + table.readBigUInt64LE(from + 32)));
  }
  return Math.max(...ends);
}
