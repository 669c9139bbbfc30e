/** Answers the kernel's first message with the capabilities of this file system. */
import {
  Errno,
  FUSE_MAJOR,
  FUSE_MINOR,
  FuseError,
  InitFlag,
  LEAST_MINOR,
  OUT_HEADER_BYTES,
  type Request,
} from './protocol.js';

const REPLY_BYTES = 64;
const MAX_READ_AHEAD_BYTES = 1 << 20;
/** Maximum number of the kernel's requests for data ahead of a reader that are open at once. */
const MAX_BACKGROUND = 64;
const CONGESTION = 48;
const LEAST_WRITE_BYTES = 4096;
const MAX_PAGES = 256; // 1 MiB in one read

const REQUESTED =
  InitFlag.asyncRead |
  InitFlag.autoInvalidate |
  InitFlag.readdirplus |
  InitFlag.readdirplusAuto |
  InitFlag.noOpen |
  InitFlag.parallelDirectories |
  InitFlag.maxPages |
  InitFlag.cacheSymlinks |
  InitFlag.noOpenDirectory;

export interface GreetingOptions {
  /** True if the kernel checks permissions and ACLs. It then also caches ACLs. */
  readonly checksAcls: boolean;
}

/**
 * Writes the reply into `body` after its header, and returns the end of the reply. Throws EPROTO for a kernel that is
 * too old.
 */
export function greet(request: Request, body: Buffer, { checksAcls }: GreetingOptions): number {
  const { bytes, bodyAt } = request;
  const [major, minor] = [bytes.readUInt32LE(bodyAt), bytes.readUInt32LE(bodyAt + 4)];
  if (major < FUSE_MAJOR || (major === FUSE_MAJOR && minor < LEAST_MINOR)) {
    throw new FuseError(Errno.EPROTO);
  }
  const offered = bytes.readUInt32LE(bodyAt + 12);
  const requested = checksAcls ? REQUESTED | InitFlag.posixAcl : REQUESTED;
  const at = OUT_HEADER_BYTES;
  body.fill(0, at, at + REPLY_BYTES);
  body.writeUInt32LE(FUSE_MAJOR, at);
  body.writeUInt32LE(FUSE_MINOR, at + 4);
  if (major > FUSE_MAJOR) return at + REPLY_BYTES; // the kernel then greets again, in our version
  body.writeUInt32LE(MAX_READ_AHEAD_BYTES, at + 8);
  body.writeUInt32LE((offered & requested) >>> 0, at + 12);
  body.writeUInt16LE(MAX_BACKGROUND, at + 16);
  body.writeUInt16LE(CONGESTION, at + 18);
  body.writeUInt32LE(LEAST_WRITE_BYTES, at + 20);
  body.writeUInt32LE(1, at + 24); // nanoseconds
  body.writeUInt16LE(MAX_PAGES, at + 28);
  return at + REPLY_BYTES;
}
