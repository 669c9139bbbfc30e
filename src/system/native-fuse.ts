/** Calls of the addon for mounts by the kernel's FUSE protocol (linux/fuse.h). */
export interface FuseCalls {
  /** Returns two connected sockets, as two numbers of 32 bits. */
  fuseSockets(): Buffer;
  /** Returns the descriptor that was sent through a socket. Throws EAGAIN if none was sent. */
  fuseReceive(socket: number): number;
  /**
   * Mounts a directory read-only and returns the descriptor of the connection. `flags` are those of mount(2).
   * Throws ENOENT without /dev/fuse, and EPERM without the privilege to mount.
   */
  fuseMount(path: Buffer, source: Buffer, options: Buffer, flags: number): number;
  /** Unmounts what has the root directory of an open descriptor, even if it is in use. Throws EINVAL for another directory. */
  fuseUnmount(fd: number): void;
  /** Makes this process the leader of a new session. Does nothing if it already leads its group. */
  newSession(): void;
  /**
   * Reads requests whenever there are some, until the connection ends. Calls `onBatch` with each batch: its offset in
   * `memory`, its bytes, and the errno that ended the connection (ENODEV after an unmount) or 0. A request begins at a
   * multiple of 8 bytes. Its memory is reused once `onBatch` returns, so that an exception must not leave `onBatch`.
   * The descriptor must stay open until the connection ends. `answers` has one byte with bits of `AttributeAnswer`,
   * which may change at any time.
   *
   * `ready` begins at a multiple of 8 bytes. It has READY_PAGES prepared replies to READDIRPLUS requests that start at
   * the beginning of a directory. First comes a table. Each row has the node (64 bits), the bytes of the reply and a
   * `ReadyState` (32 bits each), and the offset at which the directory ends. Then come the replies, READY_BYTES for
   * each, with its header. When a request comes whose reply is ready, the addon sends the reply and records where the
   * directory ends. `links` is the table of `packListing`, from which the addon answers READLINK.
   *
   * `files` of READY_FILES_BYTES begins at a multiple of 8 bytes, too. It has READY_FILES rows of READY_FILE_WORDS
   * words: the node (2 words), the offset of a content and its bytes, a `ReadyState`, and a word that is not used. Then
   * come the contents, from which the addon answers READ. A content that was sent to its end has the state `sent`.
   *
   * The addon calls `onBatch` with no bytes after it has sent some of these replies, so that JavaScript prepares
   * others. While `onBatch` returns true, there are more to prepare, and it is called again between requests. While a
   * program requests only listings and contents that are ready, another thread reads the requests and answers them.
   */
  fuseListen(
    fd: number,
    memory: Buffer,
    onBatch: (offset: number, bytes: number, errno: number) => boolean,
    answers: Uint8Array,
    ready: Uint8Array,
    links: Uint8Array,
    files: Uint8Array,
  ): void;
  /**
   * Answers the pending requests of a listener whose replies are ready, so that they need not wait while JavaScript
   * prepares other replies. The remaining requests come with the next batch. Does nothing within a batch that has
   * requests, and without a listener.
   */
  fuseAnswer(fd: number): void;
  /**
   * Records for a listener that the listing of a directory, by its node in two halves, ends at an offset. The addon
   * then answers the request for the entries after it. It keeps 64 such ends. Does nothing without a listener.
   */
  fuseNoteEnd(fd: number, nodeLow: number, nodeHigh: number, offset: number): void;
  /** Discards the ends of listings and the links of a listener. Does nothing without a listener. */
  fuseForget(fd: number): void;
  /**
   * Writes a reply: the first bytes of `head`, then a range of `data`. Returns 0 or the errno; ENOENT means that
   * the request was abandoned.
   */
  fuseReply(
    fd: number,
    head: Buffer,
    headBytes: number,
    data: Uint8Array,
    from: number,
    bytes: number,
  ): number;
  /**
   * Packs a page of a directory, which `History.listPacked` returned, in the form of READDIRPLUS or READDIR. Returns
   * the number of bytes in `target`; -1 if there is no room, or if JavaScript must describe an entry (`packEntry`).
   *
   * `place` has doubles: the set, the tree, the number and the id of the directory, the position of the first entry,
   * the seconds for which the kernel may keep the reply, 1 for READDIRPLUS, the offset and the bytes of the page in
   * `pages`, and for the inode numbers of `.` and `..` the directory, then the set and the directory of the parent. A page
   * whose first position is -2 begins with `.` and `..`. `device` is the key of the directory's device, for hard links. `index` receives words: the number of
   * entries, the number of directories, the offset of each entry and of the end, and for each directory its index and
   * the two halves of its id. The highest bit of the id is set if the directory is on another device. Nodes of
   * directories are written as 0. `links` of READY_LINKS_BYTES receives the targets of symbolic links by their nodes. A
   * target that is too long for it is left out.
   */
  packListing(
    pages: Uint8Array,
    place: Uint8Array,
    device: Uint8Array,
    target: Uint8Array,
    index: Uint8Array,
    links: Uint8Array,
  ): number;
  /**
   * Packs an entry into `target`, in the form of READDIRPLUS if there are `validSeconds`, otherwise of READDIR. Returns
   * its end. Throws EINVAL if there is no room, or if the metadata is malformed. Without a node, only the name is shown;
   * without metadata, not even the type. `offset` is that of the next entry in the directory. `storedBytes`: bytes of data of a
   * sparse file. The inode number is the hash of `set`, `directory` and `bytes`, as far as they are given; that of the
   * mount's root for 0 and 0.
   */
  packEntry(
    target: Uint8Array,
    at: number,
    name: Uint8Array,
    metadata: Uint8Array,
    nodeLow: number,
    nodeHigh: number,
    set: number,
    directory: number | undefined,
    bytes: Uint8Array | undefined,
    offset: number,
    storedBytes: number | undefined,
    validSeconds: number | undefined,
  ): number;
}

/** Answers to requests for attributes of entries that have none (BARE_NODE_BIT). */
export const AttributeAnswer = Object.freeze({
  /** There are no ACLs on this file system; without this bit, only this entry has none. */
  noAcls: 1,
  /** There are no attributes on this file system. */
  none: 2,
});

/** States of a reply or content that is ready before its request. JavaScript fills the free ones. */
export const ReadyState = Object.freeze({
  free: 0,
  ready: 1,
  /** The reply was sent. JavaScript must still count the references that it gave to the kernel. */
  sent: 2,
  /**
   * The addon is sending. A reply then becomes `sent`, or `free` if sending fails. A content becomes `sent` once its
   * end was sent, otherwise `ready` again.
   */
  sending: 3,
  /** JavaScript has dropped the content while the addon sends a part of it. Its next state is free. */
  dropped: 4,
});

/** Number of replies that may be ready before their requests. */
export const READY_PAGES = 256;
/** Number of bytes of memory for each reply that is ready before its request. */
export const READY_BYTES: number = 16 << 10;

/** Number of contents that may be ready before their requests, the words of each row, and the room for all contents. */
export const READY_FILES = 256;
export const READY_FILE_WORDS = 6;
export const READY_FILE_ROOM: number = 2 << 20;
export const READY_FILES_BYTES: number = READY_FILES * READY_FILE_WORDS * 4 + READY_FILE_ROOM;

/** Length of the table of links that were packed lately. */
export const READY_LINKS_BYTES: number = 256 * 256;

/** Bit of the upper half of a node id: the entry has no extended attributes, which the addon then answers itself. */
export const BARE_NODE_BIT: number = 1 << 30;
