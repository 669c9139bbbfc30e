/**
 * Fills small disks in generated ways and frees them. It is a separate program, since the disks belong to the
 * process that mounts them. Arguments: an empty directory, a seed, and the numbers of the fillings, joined by
 * commas. Prints one line of JSON for each backup and each disk; exits with 77 if nothing can be mounted, else with 1 at the first
 * problem.
 *
 * All sizes are a sixteenth of the real ones: packs of 64 KiB to 4 MiB, a reserve of 1 MiB, 2 MiB that stay free.
 * A number selects pack size, file system, sizes of files, encryption and the role of the garbage collector. A
 * random share of each set changes, which determines the share of a pack that is dead.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import { checkInline, keyringOfPlace } from './damage.js';
import { fillUp, freeBytes } from './fill-disk.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
  withHistory,
} from './inline.js';
import { PASSWORD, dumpedHistory } from './rewrites.js';
import { noise } from './tree.js';
import { bySet, deleteInline, frameTools, collectInline } from './garbage.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const DISK_BYTES = 24 * MIB;
const RESERVE_BYTES = MIB;
const LEAST_FREE_BYTES = 2 * MIB;
const SMALLEST_PACK_BYTES = 64 * KIB;
const PACK_SIZES = 7;
const MOST_BACKUPS = 10;
const UNMOUNTABLE = 77;

/** Sizes and numbers of files: small ones share frames, the largest are objects. */
const TREES = [
  { files: 500, bytes: 6 * KIB },
  { files: 50, bytes: 60 * KIB },
  { files: 10, bytes: 300 * KIB },
  { files: 5, bytes: 700 * KIB },
] as const;

const [home = '', seedText = '1', numbersText = '0'] = process.argv.slice(2);
const seed = Number(seedText);

interface Filling {
  readonly number: number;
  readonly packBytes: number;
  readonly isExt4: boolean;
  /** Percentage of blocks that ext4 reserves for root, which fills the disk here. */
  readonly keptForRoot: number;
  readonly encrypts: boolean;
  /** True for a server: it has no keys, and keeps removed packs for their readers for an hour if there is space. */
  readonly isServer: boolean;
  readonly trees: readonly { readonly files: number; readonly bytes: number }[];
}

function fillingOf(number: number): Filling {
  const mixed = TREES.map(({ files, bytes }) => ({ files: Math.ceil(files / 4), bytes }));
  const tree = TREES[number % (TREES.length + 1)];
  return {
    number,
    packBytes: SMALLEST_PACK_BYTES << (number % PACK_SIZES),
    isExt4: number % 6 === 5,
    keptForRoot: number % 12 === 11 ? 5 : 0,
    encrypts: number % 8 >= 6,
    isServer: number % 2 === 1,
    trees: tree === undefined ? mixed : [tree],
  };
}

function need(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(what);
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function mount(disk: string, { isExt4, keptForRoot }: Filling): boolean {
  fs.mkdirSync(disk);
  if (!isExt4) {
    const size = `size=${DISK_BYTES}`;
    return spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', disk]).status === 0;
  }
  const image = `${disk}.img`;
  fs.writeFileSync(image, '');
  fs.truncateSync(image, DISK_BYTES);
  if (spawnSync('mkfs.ext4', ['-q', '-m', String(keptForRoot), image]).status !== 0) return false;
  return spawnSync('mount', ['-o', 'loop', image, disk]).status === 0;
}

class FullDisk {
  private backups = 0;
  private readonly random;
  private readonly source: string;
  private readonly place: Place;
  private readonly disk: string;
  private readonly filling: Filling;
  private readonly share: number;

  constructor(filling: Filling, disk: string) {
    this.filling = filling;
    this.disk = disk;
    this.source = `${disk}.tree`;
    this.place = { store: path.join(disk, 'store'), client: 'me' };
    this.random = seededRandom(seed * 1000 + filling.number);
    this.share = 0.03 + this.random.next() * 0.9;
  }

  async run(): Promise<object> {
    const { place, disk } = this;
    const sets = await this.fill();
    const newest = sets.at(-1)!;
    fillUp(path.join(disk, 'filler'));
    need(freeBytes(disk) === 0, `${freeBytes(disk)} bytes are free`);
    const before = bySet(await dumpedHistory(place)).get(newest);
    const foretold = await this.foretold();
    const older = sets.slice(0, -1);
    if (older.length > 0) await deleteInline(place, older);
    const dropped = await this.foretold();
    need(dropped.olderBytes === 0, `${dropped.olderBytes} bytes count as of older sets`);
    await this.collect();
    const freed = inlineSystem().files.freeBytes(disk);
    this.requireFreed(freed, dropped.deadBytes);
    const again = freed >= LEAST_FREE_BYTES + 2 * RESERVE_BYTES;
    if (again) await this.backupFits();
    await this.requireSound(newest, before);
    const { number, packBytes, isExt4 } = this.filling;
    return {
      number,
      packBytes,
      isExt4,
      share: this.share,
      sets: sets.length,
      ...foretold,
      freed,
      again,
    };
  }

  /** Backs up a changing tree until the disk is full. Returns the numbers of the complete sets. */
  private async fill(): Promise<number[]> {
    for (this.backups = 0; this.backups < MOST_BACKUPS; this.backups += 1) {
      this.changeTree();
      print({ backup: this.backups + 1 });
      try {
        await this.backup(this.filling.number % 3 === 0 ? 0 : LEAST_FREE_BYTES);
      } catch (error) {
        need((error as { code?: string }).code === 'DISK_FULL', `a backup: ${String(error)}`);
        break;
      }
    }
    const sets = await withHistory(this.place, (history) => history.sets());
    const complete = sets.filter(({ state }) => state === 'complete').map(({ set }) => set);
    need(complete.length > 0, 'no backup was complete');
    return complete;
  }

  private async backup(leastFreeBytes: number): Promise<void> {
    const { packBytes, encrypts } = this.filling;
    const sizes = { packBytes, packContentBytes: 512 * KIB };
    const storage = {
      ...SMALL_STORE,
      store: { ...sizes, reserveBytes: RESERVE_BYTES, leastFreeBytes },
      checkpoint: { bytes: MIB, entries: 1000, intervalMs: 3_600_000 },
    };
    const settings = {
      parcelFiles: 64,
      parcelBytes: MIB,
      budgetBytes: 4 * MIB,
      frameBytes: 128 * KIB,
    };
    const create = this.backups === 0;
    const secret = encrypts ? { password: PASSWORD } : {};
    await backupInline(inlineSystem(), this.place, [this.source], {
      create,
      storage,
      settings,
      ...secret,
    });
  }

  /** Rewrites a share of the files. */
  private changeTree(): void {
    fs.mkdirSync(this.source, { recursive: true });
    const { number, trees } = this.filling;
    for (const { files, bytes } of trees) {
      for (let index = 0; index < files; index += 1) {
        if (this.backups > 0 && this.random.next() > this.share) continue;
        const size = Math.ceil(bytes * (0.5 + this.random.next() / 2));
        const content = noise(`${seed} ${number} ${this.backups} ${bytes} ${index}`, size);
        fs.writeFileSync(path.join(this.source, `${bytes}-${index}`), content);
      }
    }
  }

  private async foretold(): Promise<{ deadBytes: number; olderBytes: number }> {
    const { numbers } = await withHistory(this.place, (history) => history.reports.figures());
    return { deadBytes: numbers.deadBytes, olderBytes: numbers.olderBytes };
  }

  /** Collects garbage, as `sonic delete` or a server does. */
  private async collect(): Promise<void> {
    const { isServer, encrypts } = this.filling;
    const frames = isServer && encrypts ? undefined : await frameTools(this.place);
    const report = await collectInline(this.place, {
      frames,
      graceMs: isServer ? 3_600_000 : 0,
      wantedFreeBytes: LEAST_FREE_BYTES + RESERVE_BYTES,
      limits: { ...SMALL_STORE.store, packBytes: this.filling.packBytes },
    });
    need(report.isDone, 'it gave way');
  }

  /**
   * Requires that garbage was freed, up to the space that a backup needs; frames that cannot be opened keep dead
   * contents.
   */
  private requireFreed(freed: number, deadBytes: number): void {
    const { isServer, encrypts } = this.filling;
    if (isServer && encrypts) return;
    const wanted = LEAST_FREE_BYTES + RESERVE_BYTES;
    const slack = 256 * KIB + deadBytes / 8;
    need(
      freed >= Math.min(wanted, deadBytes - slack),
      `${freed} bytes are free, ${deadBytes} were not needed`,
    );
  }

  private async backupFits(): Promise<void> {
    fs.writeFileSync(path.join(this.source, 'one more'), noise(this.backups, 100 * KIB));
    await this.backup(LEAST_FREE_BYTES);
  }

  /** Requires that the newest set is unchanged, that a check finds no damage, and that a rebuild shows the same. */
  private async requireSound(newest: number, before: readonly string[] | undefined): Promise<void> {
    const { place } = this;
    const closed = (lines: readonly string[] | undefined): string =>
      (lines ?? []).map((line) => line.replace(/,\d*$/, '')).join('\n'); // the next set ends versions
    const requireSame = async (when: string): Promise<void> => {
      const now = bySet(await dumpedHistory(place)).get(newest);
      need(closed(now) === closed(before), `the newest set differs ${when}`);
    };
    await requireSame('afterwards');
    const keyring = await keyringOfPlace(place);
    const { findings } = await checkInline(place, { keyring, isEncrypted: keyring !== undefined });
    need(findings.length === 0, `a check finds ${JSON.stringify(findings.slice(0, 3))}`);
    if (this.filling.number % 3 !== 0) return;
    fs.rmSync(path.join(this.disk, 'filler'));
    need((await rebuildInline(place)).damagedRecords === 0, 'a rebuild finds damage');
    await requireSame('after a rebuild');
  }
}

async function main(): Promise<void> {
  for (const number of numbersText.split(',').map(Number)) {
    const disk = path.join(home, `disk-${number}`);
    const filling = fillingOf(number);
    if (!mount(disk, filling)) {
      process.exitCode = UNMOUNTABLE;
      return;
    }
    try {
      const begun = performance.now();
      const reported = await new FullDisk(filling, disk).run();
      const tookMs = Math.round(performance.now() - begun);
      print({ ...reported, tookMs });
    } catch (error) {
      throw new Error(`filling ${JSON.stringify(filling)} of seed ${seed}`, { cause: error });
    } finally {
      spawnSync('umount', ['-l', disk]);
      for (const rest of ['.img', '.tree'])
        fs.rmSync(disk + rest, { recursive: true, force: true });
    }
  }
}

await main();
