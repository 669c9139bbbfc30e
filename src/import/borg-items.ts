/** The items of an archive of Borg, as `borg debug dump-archive` prints them: JSON of which each item has lines of its own. */
import { createHash } from 'node:crypto';
import { asTardisError } from '../errors/index.js';

/** Bytes that an item may take. A file of 1 TB takes about 40 MB. */
const MOST_ITEM_BYTES = 64 << 20;
/** Items that are remembered. They take about 300 bytes each. */
const MOST_ITEMS = 2_000_000;
const BEGIN_OF_ITEMS = '    "_items": [';
const BEGIN_OF_ITEM = '    {';
const END_OF_ITEM = /^ {4}\},?$/;
const TYPE_BITS = 0o170000;
const DIRECTORY = 0o040000;
const SYMLINK = 0o120000;
/** First character of bytes that Borg prints as hexadecimal digits. */
const IS_HEXADECIMAL = '\x7f';

interface Item {
  /** Digest of all that Borg has of it: pieces of its content, metadata, attributes. */
  readonly digest: string;
  readonly isDirectory: boolean;
  /** Its extended attributes, access lists and flags, as JSON. */
  readonly attributes: string;
  /** The first name of a file that may have several. */
  readonly firstName: string | undefined;
}

/** The parts of an item that are read here. */
interface PrintedItem {
  readonly path?: unknown;
  readonly mode?: unknown;
  readonly source?: unknown;
  readonly hardlink_master?: unknown;
  readonly xattrs?: unknown;
  readonly acl_access?: unknown;
  readonly acl_default?: unknown;
  readonly bsdflags?: unknown;
}

/** The items by their paths, which are bytes as Latin-1. */
export class BorgItems {
  private readonly items = new Map<string, Item>();
  private hasBegun = false;
  private hasEnded = false;
  /** A line whose end has not come. */
  private rest = '';
  /** Lines of an item that has not ended. */
  private lines: string[] | undefined;
  private lineBytes = 0;
  /** The first error of the format or of a limit. */
  private fault: Error | undefined;

  /** Takes a piece of what Borg prints. */
  push(chunk: Buffer): void {
    if (this.fault !== undefined) return;
    try {
      const lines = (this.rest + chunk.toString('latin1')).split('\n');
      this.rest = lines.pop()!;
      for (const line of lines) this.takeLine(line);
      if (this.rest.length + this.lineBytes > MOST_ITEM_BYTES) throw new Error('an item is large');
    } catch (error) {
      this.fault = asTardisError(error); // `end` throws it
    }
  }

  /** Throws if what Borg printed is no whole list of items. */
  end(): void {
    if (this.fault !== undefined) throw this.fault;
    if (!this.hasEnded) throw new Error('borg printed no list of items');
  }

  get(path: string): Item | undefined {
    return this.items.get(path);
  }

  has(path: string): boolean {
    return this.items.has(path);
  }

  paths(): string[] {
    return [...this.items.keys()];
  }

  /** Returns the items that are below no other one. */
  roots(): string[] {
    return this.paths().filter((path) => !directoriesOf(path).some((above) => this.has(above)));
  }

  /** Returns the directories of items which are no items themselves: extracting makes them as they happen to come. */
  tops(): string[] {
    const all = new Set(this.paths().flatMap(directoriesOf));
    return [...all].filter((path) => !this.has(path)).sort();
  }

  /** Returns the paths whose items are not those of another archive. If one name of a file is among them, so are all. */
  differing(before: BorgItems): string[] {
    const isAlike = (path: string, { digest }: Item): boolean =>
      before.get(path)?.digest === digest;
    const changedFiles = new Set<string>();
    for (const [path, item] of this.items) {
      if (item.firstName !== undefined && !isAlike(path, item)) changedFiles.add(item.firstName);
    }
    return [...this.items]
      .filter(
        ([path, item]) =>
          !isAlike(path, item) ||
          (item.firstName !== undefined && changedFiles.has(item.firstName)),
      )
      .map(([path]) => path);
  }

  private takeLine(line: string): void {
    if (!this.hasBegun) this.hasBegun = line === BEGIN_OF_ITEMS;
    else if (this.lines === undefined) {
      if (line === BEGIN_OF_ITEM) this.lines = [];
      else if (line === '}') this.hasEnded = true;
    } else if (END_OF_ITEM.test(line)) {
      this.takeItem(this.lines.join('\n'));
      this.lines = undefined;
      this.lineBytes = 0;
    } else {
      this.lines.push(line);
      this.lineBytes += line.length;
    }
  }

  private takeItem(text: string): void {
    const item = JSON.parse(`{${text}}`) as PrintedItem;
    const { path, mode, source, hardlink_master: isFirst } = item;
    const { xattrs, acl_access: access, acl_default: preset, bsdflags: flags } = item;
    const name = textOf(path);
    if (name === '.') return; // the directory in which all are, whose metadata no extraction sets
    if (typeof mode !== 'number' || !isBelow(name)) throw new Error('an item has no path or mode');
    const type = mode & TYPE_BITS;
    const other = type === SYMLINK || source === undefined ? undefined : textOf(source);
    this.items.set(name, {
      digest: createHash('sha256').update(text).digest('base64'),
      isDirectory: type === DIRECTORY,
      attributes: JSON.stringify([xattrs, access, preset, flags]),
      firstName: other ?? (isFirst === true ? name : undefined),
    });
    if (this.items.size > MOST_ITEMS) throw new Error('the archive has too many items');
  }
}

/** Returns the directories above a path. */
export function directoriesOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

/** Returns the bytes of a text that Borg printed, as Latin-1. */
function textOf(printed: unknown): string {
  if (typeof printed !== 'string') throw new Error('borg printed no text where one is needed');
  const isHexadecimal = printed.startsWith(IS_HEXADECIMAL);
  return Buffer.from(
    isHexadecimal ? printed.slice(1) : printed,
    isHexadecimal ? 'hex' : 'utf8',
  ).toString('latin1');
}

/** True for a relative path that does not lead up. */
function isBelow(path: string): boolean {
  return path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
}
