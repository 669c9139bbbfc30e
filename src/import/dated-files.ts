/** Dated directories (rsnapshot, `rsync --link-dest`, any others), and dated archives of tar, that lie in one directory. */
import { TardisError } from '../errors/index.js';
import { displayName, joinPath } from '../model/index.js';
import { byteText, type System, textBytes } from '../system/index.js';
import type { DatePattern } from './date-pattern.js';
import { inOrder, type ImportSource, type ShownState, type State } from './source.js';
import { type Program, ProgramPlace } from './program.js';

/** Names that rsnapshot gives: an interval of its configuration, and a number. The date is the time of the directory. */
const RSNAPSHOT = /^([A-Za-z]+)\.\d+$/;
const TAR = /\.(tar|tgz|tbz2?|txz|tzst|tar\.(gz|bz2|xz|zst|lz4|lzma))$/;

interface DatedFile extends State {
  readonly file: Buffer;
}

interface Dated {
  readonly directory: Buffer;
  readonly pattern: DatePattern | undefined;
  readonly isTar: boolean;
}

/** Returns the states in a directory. Throws IMPORT_SOURCE_UNKNOWN if it has none. */
function statesIn(system: System, { directory, pattern, isTar }: Dated): DatedFile[] {
  const { files } = system;
  const found: DatedFile[] = [];
  for (const name of files.list(byteText(directory))) {
    const file = joinPath(directory, textBytes(name));
    const status = files.status(byteText(file));
    const isRight = isTar
      ? status?.isFile === true && TAR.test(name)
      : status?.isDirectory === true;
    if (status === undefined || !isRight) continue;
    const stem = isTar ? name.replace(TAR, '') : name;
    const interval = RSNAPSHOT.exec(name)?.[1];
    const isOfTime = pattern === undefined && (isTar || interval !== undefined);
    const atMs =
      pattern === undefined ? (isOfTime ? status.mtimeMs : undefined) : pattern.dateIn(name);
    if (atMs === undefined) continue;
    const set = interval === undefined || isTar ? stem : `${interval}-${dayOf(atMs)}`;
    found.push({ file, atMs, name: set });
  }
  if (found.length > 0) return inOrder(found);
  const what = isTar ? 'tar archives' : 'dated directories';
  throw new TardisError(
    'IMPORT_SOURCE_UNKNOWN',
    `"${displayName(directory)}" has no ${what}: name their dates by --sets, as in --sets "%Y-%m-%d"`,
  );
}

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace('T', '-').replace(':', '');
}

/** Directories, each of which is a state. */
export class DatedTrees implements ImportSource {
  readonly states: readonly DatedFile[];

  constructor(
    private readonly system: System,
    private readonly place: { readonly directory: Buffer; readonly keptAs: Buffer },
    pattern: DatePattern | undefined,
  ) {
    this.states = statesIn(system, { directory: place.directory, pattern, isTar: false });
  }

  show(state: State): Promise<ShownState> {
    const { file } = this.states.find(({ atMs }) => atMs === state.atMs)!;
    if (this.system.files.status(byteText(file))?.isDirectory !== true) throw isGone(file);
    const { keptAs } = this.place;
    return Promise.resolve({ roots: [{ directory: file, keptAs }], lacks: [] });
  }

  [Symbol.dispose](): void {
    // Nothing is open.
  }
}

function isGone(file: Buffer): TardisError {
  return new TardisError('IMPORT_SOURCE_DAMAGED', `"${displayName(file)}" is not there any more`);
}

/** Archives of tar, each of which has a state. They are unpacked one after the other. */
export class TarFiles implements ImportSource {
  readonly states: readonly DatedFile[];
  private readonly place: ProgramPlace;

  constructor(
    system: System,
    private readonly keptAs: Buffer,
    { directory, pattern, staging }: Omit<Dated, 'isTar'> & { readonly staging: string },
  ) {
    this.states = statesIn(system, { directory, pattern, isTar: true });
    this.place = new ProgramPlace(staging);
  }

  async show(state: State, signal: AbortSignal): Promise<ShownState> {
    const { file } = this.states.find(({ atMs }) => atMs === state.atMs)!;
    this.place.empty();
    // GNU tar leaves out "/" and ".." of names, and makes no file through a link that it has unpacked.
    const unpack: Program = {
      words: [
        'tar',
        '--extract',
        '--same-permissions',
        '--xattrs',
        '--acls',
        '--sparse',
        '--file',
        byteText(file),
      ],
      what: `unpack "${displayName(file)}"`,
    };
    await this.place.run(unpack, signal);
    return { roots: [{ directory: this.place.directory, keptAs: this.keptAs }], lacks: [] };
  }

  [Symbol.dispose](): void {
    this.place[Symbol.dispose]();
  }
}
