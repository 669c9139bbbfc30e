/** Shapes of large files and what becomes of them between two backups. Sizes are for a scale of 1; others are multiplied by it. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { tarEnd, tarHeader, tarPadding, TarType } from '../src/restore/index.js';
import { ContentMaker, type ContentKind } from './content.js';
import { Random } from './random.js';

const MIB = 1 << 20;
const BLOCK_BYTES = 4096;
/** Kinds of the content of an image, in turns: two of four MiB can be compressed by half, and one not at all. */
const IMAGE_KINDS: readonly ContentKind[] = ['text', 'binary', 'noise', 'binary'];
const THEMES = 40;
/** Blocks of a run of 64 KiB, as a file system of an image writes them. */
const RUN_BLOCKS = 16;
/** Text of a row of a database, so that some rows share a page. */
const ROW_BYTES = 700;
/** Times of the files of an archive. */
const WRITTEN_NS = 1_750_000_000_000_000_000n;
const CHANGED_NS = 1_760_000_000_000_000_000n;

/** A tree with large files, and the same tree some time later. */
export interface LargeShape {
  readonly name: string;
  /** Largest multiple of the bytes that restic adds. Half, where both trees share most blocks. */
  readonly addedLimit: number;
  /** True if the tree has one file before and after, which rdiff can compare. */
  readonly isOneFile: boolean;
  make(tree: string): void;
  change(tree: string): void;
}

/** Returns the shapes whose names contain a text. */
export function largeShapes(seed: number, scale: number, only = ''): LargeShape[] {
  const maker = new LargeMaker(seed, scale);
  const all = [...maker.texts(), ...maker.images(), ...maker.others()];
  return all.filter(({ name }) => name.includes(only));
}

/** Returns an image, and a change of 5 % of it in runs of blocks. */
export function largeImage(
  seed: number,
  mib: number,
): { make(tree: string): void; change(tree: string, seed: number): number } {
  const scale = mib / 1024;
  const path = (tree: string): string => join(tree, 'disk.img');
  return {
    make: (tree) => new LargeMaker(seed, scale).image(path(tree), 1),
    change: (tree, by) => {
      const times = (mib * MIB * 0.05) / (RUN_BLOCKS * BLOCK_BYTES) / scale;
      new LargeMaker(by, scale).editBlocks(path(tree), times, RUN_BLOCKS);
      return 1;
    },
  };
}

class LargeMaker {
  readonly #seed: number;
  readonly #scale: number;
  readonly #contents: ContentMaker;

  constructor(seed: number, scale: number) {
    this.#seed = seed;
    this.#scale = scale;
    this.#contents = new ContentMaker(seed);
  }

  texts(): LargeShape[] {
    const newName = (dir: string): void => unlinkSync(join(dir, 'shop-2026-01-01.sql'));
    return [
      {
        name: 'SQL dump, 1 % of its lines anywhere, new dated name',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.#dump(join(dir, 'shop-2026-01-01.sql'), 0),
        change: (dir) => {
          newName(dir);
          this.#dump(join(dir, 'shop-2026-01-02.sql'), 0.01);
        },
      },
      {
        name: 'logs rotated, grown between',
        addedLimit: 1,
        isOneFile: false,
        make: (dir) => {
          for (let age = 0; age < 4; age++) this.#appendText(logName(dir, age), 55, age);
        },
        change: (dir) => {
          this.#appendText(logName(dir, 0), 5, 10);
          for (let age = 3; age >= 0; age--) renameSync(logName(dir, age), logName(dir, age + 1));
          this.#appendText(logName(dir, 0), 5, 11);
        },
      },
      {
        name: 'mailbox, 5 MB appended',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.#appendText(join(dir, 'inbox.mbox'), 210, 20),
        change: (dir) => this.#appendText(join(dir, 'inbox.mbox'), 5, 21),
      },
    ];
  }

  images(): LargeShape[] {
    const image = (dir: string): string => join(dir, 'disk.img');
    return [
      {
        name: 'image, 500 blocks edited in place',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.image(image(dir), 1),
        change: (dir) => this.editBlocks(image(dir), 500),
      },
      {
        name: 'image copied, 500 blocks of the copy edited',
        addedLimit: 0.5,
        isOneFile: false,
        make: (dir) => this.image(image(dir), 1),
        change: (dir) => {
          this.image(join(dir, 'copy.img'), 1);
          this.editBlocks(join(dir, 'copy.img'), 500);
        },
      },
      {
        name: 'thin image, 50 blocks edited, half of them holes',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.image(image(dir), 0.36),
        change: (dir) => this.editBlocks(image(dir), 50),
      },
      {
        name: 'encrypted anew',
        addedLimit: 1,
        isOneFile: true,
        make: (dir) => this.#noise(join(dir, 'vault'), 1),
        change: (dir) => this.#noise(join(dir, 'vault'), 2),
      },
      {
        name: 'zeros, then one byte',
        addedLimit: 1,
        isOneFile: true,
        make: (dir) => this.#repeat(join(dir, 'zeros'), 2048, () => Buffer.alloc(MIB)),
        change: (dir) => appendTo(join(dir, 'zeros'), Buffer.from([1])),
      },
    ];
  }

  others(): LargeShape[] {
    const [old, fresh] = ['tree-1.tar', 'tree-2.tar'];
    return [
      {
        name: 'tar, 1 % of its files changed, new name',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.#tar(join(dir, old), 0),
        change: (dir) => {
          unlinkSync(join(dir, old));
          this.#tar(join(dir, fresh), 0.01);
        },
      },
      {
        name: 'the same tar under its name',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.#tar(join(dir, old), 0),
        change: (dir) => this.#tar(join(dir, old), 0.01),
      },
      {
        name: 'SQLite, 2 % of its rows updated',
        addedLimit: 0.5,
        isOneFile: true,
        make: (dir) => this.#database(join(dir, 'app.db')),
        change: (dir) => this.#updateRows(join(dir, 'app.db')),
      },
      {
        name: 'near-identical files of 16 kB, some changed',
        addedLimit: 0.5,
        isOneFile: false,
        make: (dir) => this.#similarFiles(dir, 10_000, 0),
        change: (dir) => this.#similarFiles(dir, 200, 1),
      },
    ];
  }

  #random(stream: number): Random {
    return new Random(this.#seed, 1000 + stream);
  }

  #count(atScaleOne: number): number {
    return Math.max(1, Math.round(atScaleOne * this.#scale));
  }

  /** Returns a MiB of text; equal numbers give equal text. It is valid until the next call. */
  #text(number: number): Buffer {
    const spec = {
      kind: 'text',
      sizeBytes: MIB,
      contentSeed: number,
      themeSeed: number % THEMES,
    } as const;
    return viewOf(this.#contents.make(spec));
  }

  /** Writes as many pieces as there are MiB. */
  #repeat(path: string, mib: number, piece: (index: number) => Uint8Array, flags = 'w'): void {
    const fd = openSync(path, flags);
    for (let index = 0; index < this.#count(mib); index++) writeSync(fd, piece(index));
    closeSync(fd);
  }

  /** Writes a dump of SQL, a row for each line. A share of its rows, anywhere, has another value than with share 0. */
  #dump(path: string, changedShare: number): void {
    const random = this.#random(1);
    let row = 0;
    const rowsOf = (text: string): string =>
      text
        .split('\n')
        .map((line) => {
          const price = random.unit() < changedShare ? 7_000_000 + row : row * 3;
          return `INSERT INTO orders VALUES (${(row += 1)},${price},'${line.trim().replaceAll("'", "''")}');\n`;
        })
        .join('');
    this.#repeat(path, 400, (index) =>
      Buffer.from(rowsOf(this.#text(100 + index).toString('latin1'))),
    );
  }

  #appendText(path: string, mib: number, stream: number): void {
    this.#repeat(path, mib, (index) => this.#text(10_000 * stream + index), 'a');
  }

  /** Writes an image of 1 GiB, of which a share, in runs of MiB, has data. */
  image(path: string, share: number): void {
    const fd = openSync(path, 'w');
    const mib = this.#count(1024);
    for (let index = 0; index < mib; index++) {
      if ((index * share) % 1 >= share) continue;
      const kind = IMAGE_KINDS[index % IMAGE_KINDS.length]!;
      const spec = { kind, sizeBytes: MIB, contentSeed: index, themeSeed: index % THEMES };
      writeSync(fd, this.#contents.make(spec), 0, MIB, index * MIB);
    }
    ftruncateSync(fd, mib * MIB);
    closeSync(fd);
  }

  /** Rewrites runs of blocks at random places. */
  editBlocks(path: string, times: number, runBlocks = 1): void {
    const random = this.#random(2);
    const fd = openSync(path, 'r+');
    const sizeBytes = runBlocks * BLOCK_BYTES;
    const runs = (this.#count(1024) * MIB) / sizeBytes;
    for (let time = 0; time < this.#count(times); time++) {
      const spec = { kind: 'noise', sizeBytes, contentSeed: 50_000 + time, themeSeed: 0 } as const;
      writeSync(fd, this.#contents.make(spec), 0, sizeBytes, random.below(runs) * sizeBytes);
    }
    closeSync(fd);
  }

  #noise(path: string, stream: number): void {
    const spec = { kind: 'noise', sizeBytes: MIB, themeSeed: 0 } as const;
    this.#repeat(path, 250, (index) =>
      this.#contents.make({ ...spec, contentSeed: 100_000 * stream + index }),
    );
  }

  /** Writes an archive of texts and a few other files, of which a share has a line more than with share 0. */
  #tar(path: string, changedShare: number): void {
    const [sizes, changed] = [this.#random(3), this.#random(4)];
    const fd = openSync(path, 'w');
    let at = 0;
    for (let file = 0; file < this.#count(9000); file++) {
      const sizeBytes = Math.round(Math.min(MIB, 6000 * Math.exp(1.2 * sizes.normal())));
      const kind = file % 4 === 3 ? 'binary' : 'text';
      const spec = { kind, sizeBytes, contentSeed: file, themeSeed: file >> 6 } as const;
      const text = viewOf(this.#contents.make(spec));
      const half = text.indexOf('\n', sizeBytes >> 1) + 1;
      const isChanged = changed.unit() < changedShare;
      const line = isChanged ? Buffer.from(`// changed: ${file}\n`) : Buffer.alloc(0);
      const body = Buffer.concat([text.subarray(0, half), line, text.subarray(half)]);
      const header = tarHeader({
        type: TarType.file,
        path: Buffer.from(`src/d${file >> 6}/f${file}.c`),
        permissions: 0o644,
        uid: 0,
        gid: 0,
        sizeBytes: body.length,
        mtimeNs: isChanged ? CHANGED_NS : WRITTEN_NS,
      });
      at += writeSync(fd, Buffer.concat([header, body, tarPadding(body.length)]));
    }
    writeSync(fd, tarEnd(at));
    closeSync(fd);
  }

  #database(path: string): void {
    const database = new Database(path);
    database.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY, at INTEGER, text TEXT)');
    const insert = database.prepare('INSERT INTO notes (at, text) VALUES (?, ?)');
    database.transaction(() => {
      for (let mib = 0; mib < this.#count(80); mib++) {
        const text = this.#text(70_000 + mib).toString('latin1');
        for (let at = 0; at < MIB; at += ROW_BYTES) insert.run(mib, text.slice(at, at + ROW_BYTES));
      }
    })();
    database.close();
  }

  #updateRows(path: string): void {
    const database = new Database(path);
    const random = this.#random(5);
    const { rows } = database.prepare('SELECT count(*) AS rows FROM notes').get() as {
      rows: number;
    };
    const update = database.prepare(
      'UPDATE notes SET at = at + 100000, text = text || ? WHERE id = ?',
    );
    database.transaction(() => {
      for (let time = 0; time < rows / 50; time++) update.run(`, ${time}`, 1 + random.below(rows));
    })();
    database.close();
  }

  /** Writes files that differ in one line from each other, and from those of another version. */
  #similarFiles(dir: string, count: number, version: number): void {
    const page = this.#text(80_000).subarray(0, 16_000);
    for (let file = 0; file < this.#count(count); file++) {
      const text = Buffer.from(page);
      text.write(`version ${version} of the file ${file}`.padEnd(48), (file * 37) % 15_000);
      const folder = join(dir, `d${file % 100}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `page-${file}.html`), text);
    }
  }
}

function logName(dir: string, age: number): string {
  return join(dir, age === 0 ? 'app.log' : `app.log.${age}`);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function appendTo(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes, { flag: 'a' });
}
