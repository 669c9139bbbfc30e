/** Writes a directory, as a power cut left it, to a real file system. */
import fs from 'node:fs';
import path from 'node:path';
import { type DiskState } from '../support/simulated-disk.js';
import { MetadataOption, nodeSystem } from '../../src/system/index.js';

/** Modes of files and directories without metadata of their own. */
export interface PlainModes {
  readonly file: number;
  readonly directory: number;
}

/** Modes in a store, and modes in a restore before its metadata is set. */
export const STORE_MODES: PlainModes = Object.freeze({ file: 0o640, directory: 0o750 });
export const TARGET_MODES: PlainModes = Object.freeze({ file: 0o600, directory: 0o700 });

const { native } = nodeSystem();
const OPTIONS = process.geteuid?.() === 0 ? MetadataOption.setOwner : 0;

/** Creates files in the order of their original creation, so that their birth times have the same order. */
export function putState(state: DiskState, directory: string, modes: PlainModes): void {
  fs.mkdirSync(directory, { recursive: true });
  const made = new Map<number, string>();
  for (const { path: name, file, kind, bytes, row } of state.files) {
    const full = path.join(directory, name);
    const above = path.dirname(full);
    if (!fs.existsSync(above)) fs.mkdirSync(above, { recursive: true, mode: modes.directory });
    const before = made.get(file);
    if (before !== undefined) {
      fs.linkSync(before, full);
      continue;
    }
    made.set(file, full);
    switch (kind) {
      case 'directory':
        if (!fs.existsSync(full)) fs.mkdirSync(full, { mode: modes.directory });
        break;
      case 'file':
        putFile(full, bytes, row, modes.file);
        break;
      case 'symlink':
        putLink(full, bytes, row);
        break;
      case 'other':
        throw new Error(`${name}: only files, directories and links are put back`);
    }
  }
  for (const { path: name, kind, row } of state.files.toReversed()) {
    if (kind === 'directory' && row !== undefined) dress(path.join(directory, name), row);
  }
}

function putFile(full: string, bytes: Buffer, row: Buffer | undefined, mode: number): void {
  const fd = fs.openSync(full, 'wx', mode);
  try {
    fs.writeSync(fd, bytes, 0, bytes.length, 0);
    if (row !== undefined) native.finishFile(fd, row, 0, OPTIONS);
  } finally {
    fs.closeSync(fd);
  }
}

function putLink(full: string, target: Buffer, row: Buffer | undefined): void {
  if (row === undefined) {
    fs.symlinkSync(target, full);
    return;
  }
  const fd = fs.openSync(path.dirname(full), fs.constants.O_DIRECTORY);
  try {
    native.symlinkAt(fd, Buffer.from(path.basename(full)), target, row, 0, OPTIONS);
  } finally {
    fs.closeSync(fd);
  }
}

function dress(directory: string, row: Buffer): void {
  const fd = fs.openSync(directory, fs.constants.O_DIRECTORY);
  try {
    native.setDirectoryMetadata(fd, row, 0, OPTIONS);
  } finally {
    fs.closeSync(fd);
  }
}
