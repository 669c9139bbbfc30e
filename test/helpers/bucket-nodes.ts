/** Servers over one bucket, each on a machine of its own (its cache), and clients that use them. */
import fs from 'node:fs';
import type { ExecutionContext } from 'ava';
import { type BucketLab, STORE } from './bucket-lab.js';
import {
  type CommandOptions,
  type Outcome,
  run,
  Running,
  Server,
  succeed,
  type Tool,
} from './commands.js';
import { restoredBy } from './lab.js';

export const SECRET = 'a secret of four words';

/** Starts a server on a machine of the lab. */
export async function startNode(
  t: ExecutionContext,
  lab: BucketLab,
  machine: string,
  args: readonly string[] = [],
): Promise<Server> {
  const server = await Server.during(t, STORE, args, { env: lab.on(machine) });
  return server;
}

/** A client's machine: it has no access key, and knows a password. */
export class NodeClient {
  readonly name: string;
  private readonly lab: BucketLab;
  private readonly secret: string;

  constructor(lab: BucketLab, name: string, secret = SECRET) {
    this.lab = lab;
    this.name = name;
    this.secret = lab.at(`${name}.secret`);
    fs.writeFileSync(this.secret, secret, { mode: 0o600 });
  }

  private words(to: readonly string[], args: readonly string[]): string[] {
    return [...args, '-C', this.name, '--password-file', this.secret, ...to];
  }

  private get env(): Readonly<Record<string, string>> {
    const state = this.lab.at(`${this.name}-state`);
    return { XDG_STATE_HOME: state, XDG_CACHE_HOME: `${state}-cache` };
  }

  /** Runs a command through servers, which `to` names. */
  run(
    to: readonly string[],
    tool: Tool,
    args: readonly string[],
    options: Pick<CommandOptions, 'timeoutMs'> = {},
  ): Promise<Outcome> {
    return run(tool, this.words(to, args), { ...options, env: this.env });
  }

  /** Starts a backup. */
  start(to: readonly string[], args: readonly string[]): Running {
    return new Running('tardis', this.words(to, args), { env: this.env });
  }

  succeed(to: readonly string[], tool: Tool, args: readonly string[]): Promise<string> {
    return succeed(tool, this.words(to, args), { env: this.env });
  }

  /** Restores the newest set, and returns how it differs from the tree. */
  restored(to: readonly string[], source = this.lab.source): Promise<string[]> {
    const output = fs.mkdtempSync(this.lab.at('far-out-'));
    return restoredBy(this.words(to, []), source, output, { env: this.env });
  }

  async sets(to: readonly string[]): Promise<readonly { set: number; state: string }[]> {
    const shown = await this.succeed(to, 'lstardis', ['--json']);
    return (JSON.parse(shown) as { sets: { set: number; state: string }[] }).sets;
  }
}
