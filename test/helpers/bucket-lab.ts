/** Machines that use a store in a bucket by the commands, each with a cache and a memory of its own. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import { KEY_VARIABLES } from './buckets.js';
import { type ListedSet, type Outcome, run, type Tool } from './commands.js';
import { folderIn, makeScratch, removeScratch, scratchInMemory } from './scratch.js';
import { differences, dir, file, look, makeTree, noise, text } from './tree.js';
import { BUCKET, type S3Options, type S3Record, S3Server } from '../support/s3-server.js';

export const STORE = `s3://${BUCKET}/all`;
/** Arguments that name the client. */
export const CLIENT = ['-D', STORE, '-C', 'me'] as const;
/** With long names, a catalog of these files has more than 512 KiB, and the bucket a copy of it. */
const LONG_NAMES = 2600;

export class BucketLab {
  readonly home: string;
  readonly source: string;
  private readonly url: string;

  /** `url`: the endpoint of the bucket. */
  constructor(home: string, url: string, source = path.join(home, 'tree')) {
    this.home = home;
    this.url = url;
    this.source = source;
  }

  at(name: string): string {
    return path.join(this.home, name);
  }

  /** Variables of a machine with a cache and a memory of its own. */
  on(machine: string): Readonly<Record<string, string>> {
    return {
      ...KEY_VARIABLES,
      TARDIS_ENDPOINT: this.url,
      XDG_CACHE_HOME: this.at(`${machine}-cache`),
      XDG_STATE_HOME: this.at(`${machine}-state`),
    };
  }

  run(machine: string, tool: Tool, args: readonly string[]): Promise<Outcome> {
    return run(tool, [...args, ...CLIENT], { env: this.on(machine) });
  }

  /** Runs a command as a process, so that others run meanwhile. */
  beside(machine: string, tool: Tool, args: readonly string[]): Promise<Outcome> {
    return run(tool, [...args, ...CLIENT], { env: this.on(machine), isProcess: true });
  }

  async succeed(machine: string, tool: Tool, args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(machine, tool, args);
    if (status !== 0) throw new Error(`${tool} ${args.join(' ')}: ${status}\n${stderr}`);
    return stdout;
  }

  backUp(machine: string, args: readonly string[] = []): Promise<string> {
    return this.succeed(machine, 'tardis', ['--local', ...args, this.source]);
  }

  /** Restores a set on a machine, and returns how it differs from the tree. */
  async restored(machine: string, args: readonly string[] = [], wanted = look(this.source)) {
    const output = fs.mkdtempSync(this.at('out-'));
    await this.succeed(machine, 'regenerate', [this.source, ...args, '-o', output]);
    return differences(wanted, look(path.join(output, path.basename(this.source))));
  }

  async sets(machine: string, args: readonly string[] = []): Promise<readonly ListedSet[]> {
    const printed = await this.succeed(machine, 'lstardis', ['--json', ...args]);
    return (JSON.parse(printed) as { sets: ListedSet[] }).sets;
  }

  /** Lets a machine know, as another one does, that the bucket arbitrates: its requests are then the same each time. */
  teach(machine: string, by: string): void {
    const known = this.at(`${by}-cache/tardis/buckets`);
    const cache = folderIn(this.at(`${machine}-cache/tardis/buckets`), fs.readdirSync(known)[0]!);
    fs.writeFileSync(path.join(cache, '.arbitrates'), 'many\n');
  }

  /** Returns the folder of the client in the cache of a machine. */
  cacheOf(machine: string): string {
    const caches = this.at(`${machine}-cache/tardis/buckets`);
    return path.join(caches, fs.readdirSync(caches)[0]!, 'me');
  }

  /** Writes a file with a password; returns the words that name it. */
  password(secret: string, option = '--password-file'): string[] {
    const named = this.at(`${secret}.password`);
    fs.writeFileSync(named, secret, { mode: 0o600 });
    return [option, named];
  }

  /** Makes a tree with small, middle and large files. */
  grow(): void {
    makeTree(this.source, [
      dir('docs', [file('letter', text(1, 4000)), file('empty')]),
      file('middle', noise(2, 200_000)),
      file('large', noise(3, 3_000_000)),
    ]);
  }

  /** Changes a file, and adds one. */
  change(round: number): void {
    fs.writeFileSync(path.join(this.source, 'docs', 'letter'), text(`letter ${round}`, 5000));
    fs.writeFileSync(path.join(this.source, `new-${round}`), noise(round, 2_000_000));
  }

  /** Backs up three sets on the machine `one`; much of the first two is in no later one. */
  async backUpThree(args: readonly string[] = []): Promise<void> {
    for (const round of [1, 2, 3]) {
      this.change(round);
      fs.writeFileSync(path.join(this.source, 'passing'), noise(`passing ${round}`, 1_500_000));
      if (round > 1) fs.rmSync(path.join(this.source, `new-${round - 1}`));
      await this.backUp('one', round === 1 ? ['--create', ...args] : args);
    }
  }

  /** Fills a folder of the tree with files of so long names that the bucket gets a copy of the catalog. */
  fill(folder: string): void {
    fs.mkdirSync(path.join(this.source, folder));
    for (let file = 0; file < LONG_NAMES; file += 1) {
      fs.writeFileSync(path.join(this.source, folder, `${'n'.repeat(190)}-${file}`), '');
    }
  }
}

/** Machines, and the server in this process that has their bucket. */
export class ServedLab extends BucketLab {
  readonly server: S3Server;
  private from = 0;

  private constructor(home: string, server: S3Server, source?: string) {
    super(home, server.url, source);
    this.server = server;
  }

  static async start(
    t: ExecutionContext,
    options: S3Options = {},
    home = scratchInMemory(t),
  ): Promise<ServedLab> {
    return new ServedLab(home, await S3Server.during(t, options));
  }

  /** Returns the requests since the last call. */
  requested(): S3Record[] {
    const requested = this.server.requests.slice(this.from);
    this.from += requested.length;
    return requested;
  }

  /** Starts a lab with a tree. */
  static async grown(...[t, ...options]: Parameters<typeof ServedLab.start>): Promise<ServedLab> {
    const lab = await ServedLab.start(t, ...options);
    lab.grow();
    return lab;
  }

  /** Starts a lab with a tree that the machine `one` has backed up. */
  static async backedUp(...started: Parameters<typeof ServedLab.start>): Promise<ServedLab> {
    const lab = await ServedLab.grown(...started);
    await lab.backUp('one', ['--create']);
    return lab;
  }

  /** Returns the objects with such names. */
  names(part: RegExp): string[] {
    return this.server.objects.keys().filter((name) => part.test(name));
  }

  /** Returns all objects but those of journals, to which each run adds one. */
  stored(): string[] {
    return this.names(/^(?!.*\/runs\/)/);
  }

  /**
   * Returns a function that starts labs for the tests of a file, each with a copy of the bucket of a grown lab, which
   * `backUp` fills once, and with its tree, which no test may change. The machines of these labs know nothing yet.
   */
  static alike(
    { after }: Pick<TestFn, 'after'>,
    backUp: (model: ServedLab) => Promise<unknown>,
    options: S3Options = {},
  ) {
    const home = makeScratch();
    let making: Promise<ServedLab> | undefined;
    after.always(async () => {
      (await making)?.server.close();
      removeScratch(home);
    });
    const make = async (): Promise<ServedLab> => {
      const model = new ServedLab(home, await S3Server.start(options));
      model.grow();
      await backUp(model);
      return model;
    };
    return async (t: ExecutionContext, more: S3Options = {}): Promise<ServedLab> => {
      making ??= make();
      const [model, server] = [await making, await S3Server.during(t, { ...options, ...more })];
      server.objects.copyFrom(model.server.objects);
      return new ServedLab(scratchInMemory(t), server, model.source);
    };
  }
}
