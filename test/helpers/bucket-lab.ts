/** Machines that use a store in a bucket by the commands, each with a cache and a memory of its own. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { KEY_VARIABLES } from './buckets.js';
import { type ListedSet, type Outcome, run, type Tool } from './commands.js';
import { scratchInMemory } from './scratch.js';
import { differences, dir, file, look, makeTree, noise, text } from './tree.js';
import { BUCKET, type S3Options, type S3Record, S3Server } from '../support/s3-server.js';

export const STORE = `s3://${BUCKET}/all`;
/** Arguments that name the client. */
export const CLIENT = ['-D', STORE, '-C', 'me'] as const;

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
    const cache = path.join(this.at(`${machine}-cache/tardis/buckets`), fs.readdirSync(known)[0]!);
    fs.mkdirSync(cache, { recursive: true });
    fs.writeFileSync(path.join(cache, '.arbitrates'), 'many\n');
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

  /** Writes a file with a password; returns the option that names it. */
  password(secret: string): string[] {
    fs.writeFileSync(this.at('secret'), secret, { mode: 0o600 });
    return ['--password-file', this.at('secret')];
  }

  /** Starts a lab for the tests of a file, which removes `home` at its end. */
  static async startIn(home: string, options: S3Options = {}): Promise<ServedLab> {
    return new ServedLab(home, await S3Server.start(options));
  }

  /**
   * Starts a lab with a copy of another one's bucket, and with its tree, which this lab must not change. Its machines know nothing yet.
   */
  static async like(
    t: ExecutionContext,
    model: ServedLab,
    options: S3Options = {},
  ): Promise<ServedLab> {
    const server = await S3Server.during(t, options);
    server.objects.copyFrom(model.server.objects);
    return new ServedLab(scratchInMemory(t), server, model.source);
  }
}
