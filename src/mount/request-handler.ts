/**
 * Answers the kernel's requests. It does not depend on the native addon: requests come in batches, and replies go to a
 * `Kernel`. Requests for data in memory are answered at once, and all others in any order, as soon as their data was
 * read.
 */
import { after, NO_READ, type Soon } from '../contents/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { Contents, type ContentsOptions } from './contents.js';
import type { FileTree } from './files-ahead.js';
import { type ReplyData, type Unique, uniqueOf } from './fuse-connection.js';
import { greet, type GreetingOptions } from './greeting.js';
import { MAX_ENTRIES, type NodePlace, placeOf } from './node-ids.js';
import { DOTS, packEntry } from './packing.js';
import { PackedListings } from './packed-listings.js';
import { PageCache } from './page-cache.js';
import {
  ENTRY_BYTES,
  Errno,
  forEachRequest,
  FuseError,
  isOneRequest,
  MAX_NAME_BYTES,
  nameIn,
  Op,
  OUT_HEADER_BYTES,
  type Request,
  ROOT_NODE,
  WRITING,
} from './protocol.js';
import { Trees } from './trees.js';
import { displayName, readAttributes } from '../model/index.js';
import type { HistoryEntry } from '../history/index.js';
import type { PackedEntries, PackedPage, ShownEntry, Tree } from './tree.js';
import { BoundedCache, type DiskSpace } from '../system/index.js';
import type { AttributeUse } from './attribute-use.js';

/** Parts and settings of the file system of a mount. */
export interface RequestHandlerOptions extends GreetingOptions, ContentsOptions {
  /** Examines the entries of new sets before they are shown. */
  readonly attributeUse: AttributeUse;
  /** Name of the link to the newest complete set. */
  readonly current: string;
  /** The only user to whom `versions` is shown; undefined if it is shown to all who have access to the mount. */
  readonly versionsFor?: number | undefined;
  /** Writes a line to the log. */
  readonly log: (line: string) => void;
  /** Returns the size of the file system that has the store. */
  readonly space: () => DiskSpace;
  /** Called after a request failed because of the store. */
  readonly onFailure?: () => void;
  /** Opens the store again if another catalog has replaced the one that is read. Returns false if it cannot be read. */
  readonly look?: () => Promise<boolean>;
}

/** Offset in a struct fuse_entry_out of its end, which is a struct fuse_attr_out. */
const ATTRIBUTES_FROM = 24;
/** Maximum size of the page of a directory, or list of attributes, in one reply. */
const MAX_REPLY_BYTES = 1 << 20;
/** Maximum size of a reply without the data of another buffer. */
const MAX_BODY_BYTES = 4096;
const SEEK_DATA = 3;
/** Time for which a request continues after a signal to its process. */
const INTERRUPT_MS = 2000;

/** Maximum number of files of a tree whose paths are remembered. */
const MAX_MOVED = 1024;

/** A file that was read while its catalog was replaced. */
interface MovedFile {
  /** Path below the mount point. */
  readonly path: Buffer;
  readonly entry: HistoryEntry;
}

/** A reply in the buffer `body`, which all requests share. */
interface Built {
  /** End of the reply in the body. */
  readonly bodyBytes: number;
  readonly data?: ReplyData | undefined;
}

/** Function that builds a reply immediately before it is sent, since the next request uses the same body. */
type Reply = () => Built;

export class RequestHandler {
  private readonly trees: Trees;
  private contents: Contents;
  private readonly cache = new PageCache();
  /** Body of a reply that is sent at once. */
  private readonly body = Buffer.from(new ArrayBuffer(MAX_BODY_BYTES));
  /** Paths of files that were read while their catalog was replaced, by their trees and nodes. */
  private readonly moved = new WeakMap<Tree, BoundedCache<number, MovedFile>>();
  /** Number of requests that wait for a promise. */
  private pending = 0;
  private isIdleLater = false;

  constructor(private readonly options: RequestHandlerOptions) {
    const { history, system, kernel, current, versionsFor } = options;
    this.contents = new Contents(options);
    this.trees = new Trees({
      history,
      native: system.native,
      cache: this.cache,
      packed: new PackedListings(system.native, kernel.links),
      ready: kernel.ready,
      current,
      versionsFor,
      nowMs: () => system.clock.nowMs(),
      forgetName: (name) => kernel.forgetName(ROOT_NODE, 0, Buffer.from(name)),
      onStale: () => this.forgetNodes(),
      onSets: (sets) => void options.attributeUse.look(sets), // it never fails
    });
  }

  /**
   * Updates the sets: finds new and deleted sets. Call it from time to time, since the kernel may answer all requests
   * from its cache.
   */
  async refresh(): Promise<void> {
    await this.trees.top.refresh();
  }

  /** Invalidates all nodes: requests for them fail with ESTALE. Call it when the history has another catalog. */
  async restart(): Promise<void> {
    this.forgetNodes();
    this.contents.close();
    this.options.decoder.forget();
    this.contents = new Contents(this.options);
    await this.trees.restart();
  }

  /**
   * Answers a batch of requests. An empty batch loads directories and files ahead. Returns true if more directories can be
   * loaded ahead, so that an empty batch must follow.
   */
  batch(memory: Buffer, offset: number, bytes: number): boolean {
    const { ahead } = this.trees;
    this.options.kernel.ready.count();
    if (bytes === 0) {
      this.contents.lookAhead();
      return ahead.step();
    }
    this.contents.isAlone = this.pending === 0 && isOneRequest(memory, offset, bytes);
    forEachRequest(memory, offset, bytes, (request) => this.request(request));
    this.contents.lookAhead();
    return ahead.hasStep;
  }

  close(): void {
    this.contents.close();
  }

  /** Drops what is ready or expected for nodes, since they are stale or will be used for other entries. */
  private forgetNodes(): void {
    this.options.kernel.forgetEnds();
    this.contents.forgetAhead();
  }

  private request(request: Request): void {
    const { opcode } = request;
    if (opcode === Op.forget || opcode === Op.batchForget) {
      this.forget(request);
      return;
    }
    if (opcode === Op.interrupt) {
      this.interrupt(request);
      return;
    }
    const to = uniqueOf(request);
    const place = placeOf(request.nodeLow, request.nodeHigh);
    try {
      const soon = this.answer(request, place);
      if (soon instanceof Promise) this.later(to, place, soon);
      else this.send(to, soon);
    } catch (error) {
      this.fail(to, place, error);
    }
  }

  /**
   * Ends a request whose process got a signal, if the store is on a server, which may be away. The kernel refuses a
   * reply that comes later, and it is dropped. All other requests are answered soon.
   */
  private interrupt({ bytes, bodyAt }: Request): void {
    const { history, kernel } = this.options;
    if (!history.isRemote) return;
    const uniqueLow = bytes.readUInt32LE(bodyAt);
    const uniqueHigh = bytes.readUInt32LE(bodyAt + 4);
    const end = (): void => kernel.fail({ uniqueLow, uniqueHigh }, Errno.EINTR);
    setTimeout(end, INTERRUPT_MS).unref();
  }

  private later(to: Unique, place: NodePlace, soon: Promise<Reply>): void {
    this.pending += 1;
    soon
      .then((reply) => this.send(to, reply))
      .catch((error: unknown) => this.fail(to, place, error))
      .finally(() => {
        this.pending -= 1;
        this.trees.ahead.goOn();
      });
  }

  private send(to: Unique, reply: Reply): void {
    const { bodyBytes, data } = reply();
    this.options.kernel.reply(to, this.body, bodyBytes, data);
  }

  private fail(to: Unique, place: NodePlace, error: unknown): void {
    const { kernel } = this.options;
    if (error instanceof FuseError) {
      kernel.fail(to, error.number);
      return;
    }
    const failure = asTardisError(error);
    kernel.fail(to, errnoOf(failure));
    if (failure.code === 'NO_ACCESS') return;
    this.options.onFailure?.();
    void this.logFailure(place, failure);
  }

  /** Writes a line about a request that failed, with the set and the path. */
  private async logFailure(place: NodePlace, failure: TardisError): Promise<void> {
    const path = await pathForLog((number) => this.trees.tree(number), place);
    this.options.log(`${path}: ${failure.message} [${failure.code}]`);
  }

  private answer(request: Request, place: NodePlace): Soon<Reply> {
    const { opcode } = request;
    switch (opcode) {
      case Op.lookup:
        return this.lookup(place, nameIn(request));
      case Op.getattr:
        return this.attributes(place);
      case Op.readlink:
        return this.readLink(place);
      case Op.read:
        return this.read(request, place);
      case Op.readdir:
      case Op.readdirplus:
        return this.readDirectory(request, place);
      case Op.getxattr:
      case Op.listxattr:
        return this.extended(request, place);
      case Op.lseek:
        return this.seek(request, place);
      case Op.statfs:
        return this.space();
      case Op.init:
        return this.greeting(request);
      case Op.destroy:
        return () => ({ bodyBytes: OUT_HEADER_BYTES });
      default:
        // Without opens, locks and the like the kernel goes on by itself, and sends no further requests.
        throw new FuseError(WRITING.has(opcode) ? Errno.EROFS : Errno.ENOSYS);
    }
  }

  private greeting(request: Request): Reply {
    const bodyBytes = greet(request, this.body, this.options);
    return () => ({ bodyBytes });
  }

  private tree(place: NodePlace): Tree {
    return this.trees.tree(place.tree);
  }

  // --- names and metadata ---------------------------------------------------------------------------

  private lookup(place: NodePlace, name: Buffer): Soon<Reply> {
    if (place.entry >= 0) throw new FuseError(Errno.ENOTDIR);
    if (name.length > MAX_NAME_BYTES) throw new FuseError(Errno.ENAMETOOLONG);
    const parent = this.tree(place);
    return after(parent.lookup(place.directory, name), (shown) => () => {
      if (shown === undefined) {
        const { body } = this;
        const bodyBytes = OUT_HEADER_BYTES + ENTRY_BYTES;
        body.fill(0, OUT_HEADER_BYTES, bodyBytes);
        // A node of 0 means that there is no such name, which the kernel may remember.
        body.writeUInt32LE(parent.validSeconds, OUT_HEADER_BYTES + 16);
        return { bodyBytes };
      }
      const owner = this.trees.tree(placeOf(shown.nodeLow, shown.nodeHigh).tree);
      const reply = this.shown(shown, Math.min(parent.validSeconds, owner.validSeconds), 0);
      owner.lookups += 1;
      return reply;
    });
  }

  /**
   * Packs an entry into the body, and returns the end of its struct fuse_entry_out from an offset on. Throws the reason
   * if only its name is shown.
   */
  private shown(shown: ShownEntry, validSeconds: number, from: number): Built {
    if (shown.entry.damage !== undefined) throw shown.entry.damage;
    if (shown.nodeLow === 0 && shown.nodeHigh === 0) throw circle();
    const { body } = this;
    packEntry(this.options.system.native, body, OUT_HEADER_BYTES, shown, 0, validSeconds);
    const data = { data: body, from: OUT_HEADER_BYTES + from, bytes: ENTRY_BYTES - from };
    return { bodyBytes: OUT_HEADER_BYTES, data };
  }

  private attributes(place: NodePlace): Soon<Reply> {
    const tree = this.tree(place);
    const found = tree.entryAt(place.directory, place.entry);
    return after(found, (shown) => () => this.shown(shown, tree.validSeconds, ATTRIBUTES_FROM));
  }

  private readLink(place: NodePlace): Soon<Reply> {
    return after(this.tree(place).entryAt(place.directory, place.entry), ({ entry }) => {
      if (entry.linkTarget === undefined) throw new FuseError(Errno.EINVAL);
      return this.bytes(entry.linkTarget);
    });
  }

  private bytes(data: Uint8Array): Reply {
    const reply = { bodyBytes: OUT_HEADER_BYTES, data: { data, from: 0, bytes: data.length } };
    return () => reply;
  }

  private extended(request: Request, place: NodePlace): Soon<Reply> {
    const requestedBytes = request.bytes.readUInt32LE(request.bodyAt);
    const isOne = request.opcode === Op.getxattr;
    const name = isOne ? nameIn(request, 8) : undefined;
    return after(this.tree(place).entryAt(place.directory, place.entry), ({ entry }) => {
      const value = xattrReply(entry, name);
      if (requestedBytes === 0) return this.number(value.length);
      if (value.length > requestedBytes) throw new FuseError(Errno.ERANGE);
      return this.bytes(value);
    });
  }

  private number(value: number): Reply {
    return () => {
      writeNumber(this.body, OUT_HEADER_BYTES, value);
      return { bodyBytes: OUT_HEADER_BYTES + 8 };
    };
  }

  private space(): Reply {
    const space = this.options.space();
    return () => ({ bodyBytes: writeSpace(this.body, OUT_HEADER_BYTES, space) });
  }

  // --- directories ----------------------------------------------------------------------------------

  private readDirectory(request: Request, place: NodePlace): Soon<Reply> {
    if (place.entry >= 0) throw new FuseError(Errno.ENOTDIR);
    const { bytes, bodyAt, opcode, nodeLow, nodeHigh } = request;
    const offset = bytes.readUInt32LE(bodyAt + 8);
    if (bytes.readUInt32LE(bodyAt + 12) !== 0) return () => ({ bodyBytes: OUT_HEADER_BYTES }); // behind any end
    const room = Math.min(bytes.readUInt32LE(bodyAt + 16), MAX_REPLY_BYTES);
    const isPlus = opcode === Op.readdirplus;
    const tree = this.tree(place);
    const position = Math.max(0, offset - DOTS);
    return after(tree.page(place.directory, position, isPlus), (page) => () => {
      if (page === undefined) return { bodyBytes: OUT_HEADER_BYTES };
      const from = offset - DOTS - page.first;
      const data = isPlus
        ? partOf(page.plus(), from, room, tree)
        : partOf(page.plain(), from, room);
      const end = endAfter(page, isPlus, data);
      if (end !== undefined) this.options.kernel.noteEnd(nodeLow, nodeHigh, end);
      return { bodyBytes: OUT_HEADER_BYTES, data };
    });
  }

  // --- contents -------------------------------------------------------------------------------------

  private read(request: Request, place: NodePlace): Soon<Reply> {
    const { bytes, bodyAt } = request;
    const position = bytes.readUInt32LE(bodyAt + 8) + bytes.readUInt32LE(bodyAt + 12) * 2 ** 32;
    const count = Math.min(bytes.readUInt32LE(bodyAt + 16), MAX_REPLY_BYTES);
    const data = this.withFile(place, (tree, at) => this.contents.read(tree, at, position, count));
    return after(data, (found) => () => ({ bodyBytes: OUT_HEADER_BYTES, data: found }));
  }

  private seek(request: Request, place: NodePlace): Soon<Reply> {
    const { bytes, bodyAt } = request;
    const position = Number(bytes.readBigInt64LE(bodyAt + 8));
    const isData = bytes.readUInt32LE(bodyAt + 16) === SEEK_DATA;
    const found = this.withFile(place, (tree, at) =>
      this.contents.seek(tree, at, position, isData),
    );
    return after(found, (at) => {
      if (at === undefined) throw new FuseError(Errno.ENXIO);
      return this.number(at);
    });
  }

  private fileTree(place: NodePlace): FileTree {
    const tree = this.tree(place);
    if (place.entry < 0 || tree.pageOf === undefined) throw new FuseError(Errno.EISDIR);
    return tree as FileTree;
  }

  /**
   * Calls a function with a file. If a rewrite has replaced the catalog of the file, opens the new one at once, and calls
   * the function with the file of that path there. So a program that reads it goes on.
   */
  private withFile<T>(
    place: NodePlace,
    use: (tree: FileTree, place: NodePlace) => Soon<T>,
  ): Soon<T> {
    const known = this.moved.get(this.tree(place))?.get(keyOf(place));
    const useMoved = async (file: MovedFile): Promise<T> => {
      const at = await this.placeOfMoved(file);
      return use(this.fileTree(at), at);
    };
    if (known !== undefined) return useMoved(known);
    const soon = use(this.fileTree(place), place);
    if (!(soon instanceof Promise)) return soon;
    return soon.catch(async (error: unknown) => {
      if (!(error instanceof TardisError) || error.code !== 'CLIENT_BUSY') throw error;
      const file = await this.noteMoved(place);
      if ((await this.options.look?.()) !== true) throw error;
      return useMoved(file);
    });
  }

  /** Remembers path and entry of a file while its catalog can still be read. */
  private async noteMoved(place: NodePlace): Promise<MovedFile> {
    const tree = this.tree(place);
    const { entry } = await tree.entryAt(place.directory, place.entry);
    const file = { path: await tree.pathOf(place.directory, place.entry), entry };
    if (tree.isFixed !== true) return file; // its node may become that of another file
    const files = this.moved.get(tree) ?? new BoundedCache<number, MovedFile>(MAX_MOVED);
    this.moved.set(tree, files);
    files.set(keyOf(place), file);
    return file;
  }

  /** Returns the node of a file in the present catalog. Throws ESTALE if it has no such file, or another one. */
  private async placeOfMoved({ path, entry }: MovedFile): Promise<NodePlace> {
    let place = placeOf(ROOT_NODE, 0);
    let shown: ShownEntry | undefined;
    for (const name of path.toString('latin1').split('/').slice(1)) {
      shown = await this.tree(place).lookup(place.directory, Buffer.from(name, 'latin1'));
      if (shown === undefined) break;
      place = placeOf(shown.nodeLow, shown.nodeHigh);
    }
    const isSame =
      shown?.entry.sizeBytes === entry.sizeBytes && shown.entry.mtimeNs === entry.mtimeNs;
    if (!isSame) throw new FuseError(Errno.ESTALE);
    return place;
  }

  // --- references -----------------------------------------------------------------------------------

  private forget(request: Request): void {
    const { bytes, bodyAt, opcode, nodeLow, nodeHigh } = request;
    if (opcode === Op.forget) {
      this.dropLookups(nodeLow, nodeHigh, Number(bytes.readBigUInt64LE(bodyAt)));
      return;
    }
    const count = bytes.readUInt32LE(bodyAt);
    for (let index = 0; index < count; index += 1) {
      const at = bodyAt + 8 + index * 16;
      const lookups = Number(bytes.readBigUInt64LE(at + 8));
      this.dropLookups(bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), lookups);
    }
  }

  private dropLookups(low: number, high: number, count: number): void {
    const number = placeOf(low, high).tree;
    if (number === 0) return;
    const tree = this.trees.tree(number);
    tree.lookups -= count;
    if (tree.lookups > 0 || this.isIdleLater) return;
    this.isIdleLater = true;
    setImmediate(() => {
      this.isIdleLater = false;
      // A request on its way may hand out numbers of a tree that has no reference yet.
      if (this.pending === 0) this.trees.dropIdle();
    });
  }
}

/** Returns the error for a directory that contains itself, so that a walk would never end. */
function circle(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'a directory in it leads back to one above it');
}

/** Key of a node in its tree. */
function keyOf({ directory, entry }: NodePlace): number {
  return directory * (MAX_ENTRIES + 1) + entry;
}

/** Returns the error number that a program gets for an error. */
function errnoOf({ code }: TardisError): number {
  if (code === 'NO_ACCESS') return Errno.EACCES;
  return code === 'NO_SUCH_SET' ? Errno.ESTALE : Errno.EIO;
}

/** Returns the path of a node, for the log. Never rejects: a path that cannot be read is unknown. */
async function pathForLog(
  treeOf: (number: number) => Tree,
  { tree, directory, entry }: NodePlace,
): Promise<string> {
  try {
    return displayName(await treeOf(tree).pathOf(directory, entry));
  } catch {
    return '(unknown)'; // the error that is reported is the first one
  }
}

const SPACE_BYTES = 80;
const TWO_32 = 2 ** 32;

/** Writes a number in 64 bits. */
function writeNumber(body: Buffer, at: number, value: number): void {
  body.writeUInt32LE(value % TWO_32, at);
  body.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

/** Writes the size of a file system (struct fuse_statfs_out); returns its end. */
function writeSpace(body: Buffer, at: number, space: DiskSpace): number {
  const { blocks, freeBlocks, availableBlocks, blockBytes } = space;
  body.fill(0, at, at + SPACE_BYTES);
  writeNumber(body, at, blocks);
  writeNumber(body, at + 8, freeBlocks);
  writeNumber(body, at + 16, availableBlocks);
  body.writeUInt32LE(blockBytes, at + 40);
  body.writeUInt32LE(MAX_NAME_BYTES, at + 44);
  body.writeUInt32LE(blockBytes, at + 48);
  return at + SPACE_BYTES;
}

/**
 * Returns the value of an attribute; without a name, the names of all attributes. Throws ENODATA if the entry lacks
 * the attribute.
 */
function xattrReply(entry: HistoryEntry, name: Buffer | undefined): Buffer {
  const all = readAttributes(entry.attributes);
  if (name === undefined) {
    const end = Buffer.alloc(1);
    return Buffer.concat(all.flatMap((one) => [one.name, end]));
  }
  const value = all.find((one) => one.name.equals(name))?.value;
  if (value === undefined) throw new FuseError(Errno.ENODATA);
  return value;
}

/**
 * Returns whole entries, without copying them. `begin` is the index of the first one. With `tree`, the entries have
 * attributes, and the references that the kernel gets are counted.
 */
export function partOf(
  { packed, starts }: PackedEntries,
  begin: number,
  room: number,
  tree?: Tree,
): ReplyData {
  const last = starts.length - 1;
  if (begin >= last) return NO_READ;
  const from = starts[begin]!;
  const words = tree && new Uint32Array(packed.buffer, packed.byteOffset, packed.length >>> 2);
  let end = begin;
  for (; end < last && starts[end + 1]! - from <= room; end += 1) {
    const word = starts[end]! >>> 2;
    if (words !== undefined && (words[word] !== 0 || words[word + 1] !== 0)) tree!.lookups += 1;
  }
  return { data: packed, from, bytes: starts[end]! - from };
}

/** Returns the offset at which a directory ends, if a reply has its last entry. */
export function endAfter(
  page: PackedPage,
  isPlus: boolean,
  { from, bytes }: ReplyData,
): number | undefined {
  if (page.isLast !== true) return undefined;
  const { packed, starts } = isPlus ? page.plus() : page.plain();
  return from + bytes === packed.length ? page.first + starts.length - 1 + DOTS : undefined;
}
