/** Writes the entries of a set as a tar archive. */
import type { ContentPiece } from '../history/index.js';
import {
  aclTexts,
  type Entry,
  EntryType,
  type EntryTypeNumber,
  exactMtimeNs,
  flagsForTar,
  inodeFlags,
  isSparse,
  readAttributes,
} from '../model/index.js';
import type { OwnerRecord } from '../store/index.js';
import type { System } from '../system/index.js';
import {
  type ArchiveFormat,
  type ArchiveItem,
  type ArchiveRequest,
  PLAIN_ROW,
  writeArchive,
} from './archive.js';
import type { ByteSink } from './byte-sink.js';
import type { ContentReader } from './content-reader.js';
import type { RestoreFailure } from './progress.js';
import type { StreamMeans } from './request.js';
import { plainContent, sparseContent } from './tar-content.js';
import {
  type TarEntry,
  TarType,
  type TarTypeFlag,
  tarEnd,
  tarHeader,
  tarPadding,
} from './tar-format.js';

const EMPTY = Object.freeze({ sizeBytes: 0 });

/** Sizes of an entry in the archive, and the path that a link refers to. */
type TarForm = Pick<TarEntry, 'sizeBytes' | 'sparseBytes' | 'linkPath'>;

const TAR_TYPES: Readonly<Partial<Record<EntryTypeNumber, TarTypeFlag>>> = {
  [EntryType.file]: TarType.file,
  [EntryType.directory]: TarType.directory,
  [EntryType.symlink]: TarType.symlink,
  [EntryType.fifo]: TarType.fifo,
  [EntryType.characterDevice]: TarType.characterDevice,
  [EntryType.blockDevice]: TarType.blockDevice,
};

/**
 * Writes a tar archive to a sink (see `writeArchive`). Contents are checked before their headers are written, so that
 * damaged files can be omitted and reported.
 */
export async function writeTar(
  system: System,
  means: StreamMeans,
  request: ArchiveRequest,
  sink: ByteSink,
): Promise<RestoreFailure[]> {
  const owners = request.numericIds === true ? [] : await means.history.owners(request.set);
  const { setFlags, setAttributes } = request.policy ?? {};
  const keepsFlags = setFlags !== false && setAttributes !== false;
  const format = new TarFormat(sink, owners, keepsFlags);
  return writeArchive(system, means, request, { sink, format });
}

type TarRow = Pick<Entry, 'permissions' | 'uid' | 'gid' | 'mtimeNs' | 'device' | 'attributes'>;

class TarFormat implements ArchiveFormat {
  readonly name = 'tar';
  isBegun = false;
  /** Names of owners by `u` (user) or `g` (group) and the number. */
  private readonly owners: ReadonlyMap<string, Buffer>;

  constructor(
    private readonly sink: ByteSink,
    owners: readonly OwnerRecord[],
    private readonly keepsFlags: boolean,
  ) {
    this.owners = new Map(
      owners.map(({ isGroup, id, name }) => [`${isGroup ? 'g' : 'u'}${id}`, name]),
    );
  }

  refusal(type: EntryTypeNumber): string | undefined {
    return TAR_TYPES[type] === undefined ? 'sockets' : undefined;
  }

  async other({ path, entry }: ArchiveItem, row: Entry): Promise<void> {
    const type = TAR_TYPES[entry.type]!;
    await this.sink.write(this.header(path, row, type, { ...EMPTY, linkPath: entry.linkTarget }));
  }

  async file(
    { path, entry }: ArchiveItem,
    row: Entry,
    pieces: readonly ContentPiece[],
    reader: ContentReader,
  ): Promise<number> {
    const whole = isSparse(entry.metadata) ? undefined : await reader.ready(pieces);
    if (whole !== undefined) {
      const header = this.header(path, row, TarType.file, { sizeBytes: whole.length });
      this.isBegun = true;
      await this.sink.write(header, whole, tarPadding(whole.length));
      return whole.length;
    }
    const bytes = reader.bytes(pieces);
    const content = isSparse(entry.metadata)
      ? await sparseContent(bytes)
      : plainContent(bytes, pieces);
    const { storedBytes, realBytes, chunks } = content;
    const form = { sizeBytes: storedBytes, sparseBytes: realBytes };
    const header = this.header(path, row, TarType.file, form);
    for await (const chunk of chunks) {
      if (!this.isBegun) await this.sink.write(header);
      this.isBegun = true;
      await this.sink.write(chunk);
    }
    if (!this.isBegun) await this.sink.write(header);
    await this.sink.write(tarPadding(storedBytes));
    return storedBytes;
  }

  async link({ path }: ArchiveItem, row: Entry, first: Buffer): Promise<void> {
    await this.sink.write(this.header(path, row, TarType.hardLink, { ...EMPTY, linkPath: first }));
  }

  async text(name: Buffer, content: Buffer, mtimeNs: bigint): Promise<void> {
    const row = { ...PLAIN_ROW, mtimeNs, device: 0n };
    const sizeBytes = content.length;
    await this.sink.write(this.header(name, row, TarType.file, { sizeBytes }));
    await this.sink.write(content);
    await this.sink.write(tarPadding(sizeBytes));
  }

  async end(): Promise<void> {
    await this.sink.write(tarEnd(this.sink.bytes));
  }

  private header(
    path: Buffer,
    { permissions, uid, gid, mtimeNs, device, attributes }: TarRow,
    type: TarTypeFlag,
    form: TarForm,
  ): Buffer {
    return tarHeader({
      ...form,
      type,
      path,
      permissions,
      uid,
      gid,
      userName: this.owners.get(`u${uid}`),
      groupName: this.owners.get(`g${gid}`),
      mtimeNs: exactMtimeNs(mtimeNs, attributes),
      deviceMajor: major(device),
      deviceMinor: minor(device),
      extended: type === TarType.hardLink ? [] : extendedOf(attributes, this.keepsFlags),
    });
  }
}

/**
 * Returns attributes as pax records. Attributes whose names contain `=` are omitted, since pax cannot express them. ACLs come as
 * attributes and as text: with its option --acls, GNU tar replaces those of attributes by those of the text.
 */
function extendedOf(
  attributes: Buffer | undefined,
  withFlags: boolean,
): [key: string, value: Buffer][] {
  const acls = aclTexts(attributes).map(([kind, text]): [string, Buffer] => [
    `SCHILY.acl.${kind}`,
    Buffer.from(text),
  ]);
  const extended = readAttributes(attributes)
    .filter(({ name }) => !name.includes(EQUALS))
    .map(({ name, value }): [string, Buffer] => [`SCHILY.xattr.${name.toString('latin1')}`, value])
    .concat(acls);
  const flags = withFlags ? flagsForTar(inodeFlags(attributes)) : '';
  return flags === '' ? extended : [['SCHILY.fflags', Buffer.from(flags)], ...extended];
}

const EQUALS = 0x3d;

/** Returns the major number of a device, which is packed as in the C library. */
function major(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}
