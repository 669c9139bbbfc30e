/**
 * Records every change below a directory in a trace (disk-trace.ts): the file calls of a store, and the addon's
 * calls on the target of a restore. SQLite's own changes are reported by its VFS.
 */
import path from 'node:path';
import type { DiskFileKind, DiskTrace } from './disk-trace.js';
import type { Files } from '../../src/system/index.js';
import type { NativeCalls } from '../../src/system/native.js';
import { byteText } from '../../src/system/index.js';
import type { System } from '../../src/system/index.js';
import { leavesFiles } from './leaves-all.js';

/** Matches the path of an open descriptor. */
const OPENED = /^\/proc\/self\/fd\/(\d+)$/;

/** Maps each descriptor to the number of its file in the trace. */
type OpenFiles = Map<number, number>;

export function tracedSystem(base: System, trace: DiskTrace): System {
  const open: OpenFiles = new Map();
  return {
    clock: base.clock,
    random: base.random,
    network: base.network,
    catalogSteps: base.catalogSteps,
    files: tracedFiles(base.files, trace, open),
    native: tracedNative(base.native, trace, open),
    openDatabase: (file, options) => {
      trace.takeForeign();
      const wasThere = trace.find(file) !== undefined;
      const database = base.openDatabase(file, options);
      // The file is created before SQLite opens it.
      if (!wasThere && !options.readonly) trace.create(file, 'file', { isBeforeForeign: true });
      return database;
    },
  };
}

function tracedFiles(files: Files, trace: DiskTrace, open: OpenFiles): Files {
  const remove = (file: string): void => {
    const directory = trace.find(path.dirname(file));
    if (directory === undefined) return;
    const name = path.basename(file);
    trace.add({ act: 'names', changes: [{ directory, name, file: undefined }] });
  };
  return {
    ...files,
    open: (file, how) => {
      const fd = files.open(file, how);
      const number = how.startsWith('create') ? trace.create(file, 'file') : trace.find(file);
      if (number !== undefined) open.set(fd, number);
      return fd;
    },
    close: (fd) => {
      open.delete(fd);
      files.close(fd);
    },
    write: (fd, data, position) => {
      files.write(fd, data, position);
      noteWrite(trace, open.get(fd), data, position);
    },
    truncate: (fd, sizeBytes) => {
      files.truncate(fd, sizeBytes);
      const file = open.get(fd);
      if (file !== undefined) trace.add({ act: 'resize', file, sizeBytes });
    },
    sync: async (fd) => {
      const since = trace.now;
      const file = open.get(fd);
      await files.sync(fd);
      if (file !== undefined) trace.add({ act: 'sync', file, since });
    },
    syncNow: (fd) => {
      const since = trace.now;
      const file = open.get(fd);
      files.syncNow(fd);
      if (file !== undefined) trace.add({ act: 'sync', file, since });
    },
    syncDirectory: async (directory) => {
      const since = trace.now;
      const opened = OPENED.exec(directory)?.[1];
      const file = opened === undefined ? trace.find(directory) : open.get(Number(opened));
      await files.syncDirectory(directory);
      if (file !== undefined) trace.add({ act: 'syncDirectory', file, since });
    },
    makeDirectory: (directory, isSecret) => {
      files.makeDirectory(directory, isSecret);
      trace.create(directory, 'directory');
    },
    makeTemporaryDirectory: (prefix) => {
      const directory = files.makeTemporaryDirectory(prefix);
      trace.create(directory, 'directory');
      return directory;
    },
    removeDirectory: (directory) => {
      files.removeDirectory(directory);
      remove(directory);
    },
    unlink: (file) => {
      files.unlink(file);
      remove(file);
    },
    rename: (from, to) => {
      files.rename(from, to);
      noteRename(trace, from, to);
    },
  };
}

function noteRename(trace: DiskTrace, from: string, to: string): void {
  const file = trace.find(from);
  const [fromDirectory, toDirectory] = [from, to].map((one) => trace.find(path.dirname(one)));
  if (file === undefined || fromDirectory === undefined || toDirectory === undefined) return;
  trace.rename(
    { directory: fromDirectory, name: path.basename(from), file },
    { directory: toDirectory, name: path.basename(to), file },
  );
}

function noteWrite(
  trace: DiskTrace,
  file: number | undefined,
  data: Uint8Array,
  position: number,
): void {
  if (file === undefined || data.length === 0) return;
  trace.add({ act: 'write', file, position, bytes: Buffer.from(data) });
}

function tracedNative(native: NativeCalls, trace: DiskTrace, open: OpenFiles): NativeCalls {
  return {
    ...native,
    ...opening(native, trace, open),
    ...making(native, trace, open),
    ...naming(native, trace, open),
    restoreFiles: leavesFiles,
    resizeFile: (fd, sizeBytes) => {
      native.resizeFile(fd, sizeBytes);
      const file = open.get(fd);
      if (file !== undefined) trace.add({ act: 'resize', file, sizeBytes });
    },
    finishFile: (fd, rows, rowOffset, options) => {
      const reported = native.finishFile(fd, rows, rowOffset, options);
      noteMetadata(trace, open.get(fd), rows, rowOffset);
      return reported;
    },
    setDirectoryMetadata: (fd, rows, rowOffset, options) => {
      const reported = native.setDirectoryMetadata(fd, rows, rowOffset, options);
      noteMetadata(trace, open.get(fd), rows, rowOffset);
      return reported;
    },
    syncfs: async (fd) => {
      const since = trace.now;
      await native.syncfs(fd);
      if (open.has(fd)) trace.add({ act: 'syncAll', since });
    },
  };
}

function noteMetadata(
  trace: DiskTrace,
  file: number | undefined,
  rows: Uint8Array,
  rowOffset: number,
): void {
  if (file !== undefined) trace.add({ act: 'metadata', file, row: rowIn(rows, rowOffset) });
}

function rowIn(rows: Uint8Array, rowOffset: number): Buffer {
  const bytes = Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
  return Buffer.from(bytes.subarray(rowOffset, rowOffset + bytes.readUInt32LE(rowOffset)));
}

type Opening = 'openDirectory' | 'openListed' | 'openBeneath' | 'close';

function opening(
  native: NativeCalls,
  trace: DiskTrace,
  open: OpenFiles,
): Pick<NativeCalls, Opening> {
  const found = (directory: Buffer, fd: number): number => {
    const number = trace.find(byteText(directory));
    if (number !== undefined) open.set(fd, number);
    return fd;
  };
  const beneath = (rootFd: number, below: Buffer, fd: number): number => {
    let at = open.get(rootFd);
    for (const name of byteText(below).split('/').filter(Boolean)) {
      at = at === undefined ? undefined : trace.below(at, name);
    }
    if (at !== undefined) open.set(fd, at);
    return fd;
  };
  return {
    openDirectory: (directory) => found(directory, native.openDirectory(directory)),
    openListed: (directory, identity) => found(directory, native.openListed(directory, identity)),
    openBeneath: (fd, below, kind) => beneath(fd, below, native.openBeneath(fd, below, kind)),
    close: (fd) => {
      open.delete(fd);
      native.close(fd);
    },
  };
}

type Making = 'createFileAt' | 'writeFileAt' | 'makeDirectoryAt' | 'symlinkAt' | 'makeNodeAt';

function making(native: NativeCalls, trace: DiskTrace, open: OpenFiles): Pick<NativeCalls, Making> {
  const made = (
    directoryFd: number,
    name: Buffer,
    kind: DiskFileKind,
    target?: Buffer,
  ): number | undefined => {
    const directory = open.get(directoryFd);
    if (directory === undefined) return undefined;
    trace.takeForeign();
    return trace.createIn(directory, byteText(name), kind, target);
  };
  return {
    createFileAt: (directoryFd, name) => {
      const fd = native.createFileAt(directoryFd, name);
      const file = made(directoryFd, name, 'file');
      if (file !== undefined) open.set(fd, file);
      return fd;
    },
    writeFileAt: (directoryFd, name, data, offset, bytes, rows, rowOffset, options) => {
      const reported = native.writeFileAt(
        directoryFd,
        name,
        data,
        offset,
        bytes,
        rows,
        rowOffset,
        options,
      );
      const file = made(directoryFd, name, 'file');
      noteWrite(trace, file, data.subarray(offset, offset + bytes), 0);
      noteMetadata(trace, file, rows, rowOffset);
      return reported;
    },
    makeDirectoryAt: (directoryFd, name) => {
      native.makeDirectoryAt(directoryFd, name);
      made(directoryFd, name, 'directory');
    },
    symlinkAt: (directoryFd, name, target, rows, rowOffset, options) => {
      const reported = native.symlinkAt(directoryFd, name, target, rows, rowOffset, options);
      const file = made(directoryFd, name, 'symlink', Buffer.from(target));
      noteMetadata(trace, file, rows, rowOffset);
      return reported;
    },
    makeNodeAt: (directoryFd, name, rows, rowOffset, options) => {
      const reported = native.makeNodeAt(directoryFd, name, rows, rowOffset, options);
      noteMetadata(trace, made(directoryFd, name, 'other'), rows, rowOffset);
      return reported;
    },
  };
}

type Naming = 'linkAt' | 'unlinkAt' | 'renameAt' | 'exchangeAt';

function naming(native: NativeCalls, trace: DiskTrace, open: OpenFiles): Pick<NativeCalls, Naming> {
  const at = (directoryFd: number, name: Buffer) => {
    const directory = open.get(directoryFd);
    if (directory === undefined) return undefined;
    const text = byteText(name);
    return { directory, name: text, file: trace.below(directory, text) };
  };
  return {
    linkAt: (oldFd, oldName, newFd, newName) => {
      native.linkAt(oldFd, oldName, newFd, newName);
      const [from, to] = [at(oldFd, oldName), at(newFd, newName)];
      if (from?.file === undefined || to === undefined) return;
      trace.add({ act: 'names', changes: [{ ...to, file: from.file }] });
    },
    unlinkAt: (directoryFd, name) => {
      native.unlinkAt(directoryFd, name);
      const gone = at(directoryFd, name);
      if (gone !== undefined) trace.add({ act: 'names', changes: [{ ...gone, file: undefined }] });
    },
    renameAt: (oldFd, oldName, newFd, newName) => {
      native.renameAt(oldFd, oldName, newFd, newName);
      const [from, to] = [at(oldFd, oldName), at(newFd, newName)];
      if (from?.file === undefined || to === undefined) return;
      trace.rename(from, { ...to, file: from.file });
    },
    exchangeAt: (oneFd, oneName, otherFd, otherName) => {
      native.exchangeAt(oneFd, oneName, otherFd, otherName);
      const [one, other] = [at(oneFd, oneName), at(otherFd, otherName)];
      if (one === undefined || other === undefined) return;
      const changes = [
        { ...one, file: other.file },
        { ...other, file: one.file },
      ];
      trace.add({ act: 'names', changes });
    },
  };
}
