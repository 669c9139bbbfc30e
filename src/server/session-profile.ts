/**
 * `Profile`: a CPU profile of one thread of the server during a session, as a `.cpuprofile` file for the tools of
 * Chrome and editors. Concurrent sessions have one profile each of the same thread, so each shows the work for all
 * of them.
 */
import inspector from 'node:inspector';
import path from 'node:path';
import { asTardisError, type TardisError } from '../errors/index.js';
import { guardDirectory, nodeSystem, unlinkIfThere } from '../system/index.js';

/** Directory in the store; no client's name begins with a dot. */
export const PROFILES_DIRECTORY = '.profiles';
/** Maximum duration of a profile, since a profile keeps growing: 7 MB in ten minutes. */
const MAX_PROFILE_MS = 600_000;
const SAMPLING_MICROSECONDS = 1000;

const { files } = nodeSystem();

export interface ProfilePlan {
  /** Path as byte text. */
  readonly directory: string;
  /** Number of newest profiles that are kept for each part. */
  readonly kept: number;
}

/**
 * Part of the server that a profile covers. `server`: connections, logins, dispatch; `storage`: packs and catalog.
 */
type ProfilePart = 'server' | 'storage';

type ProfileFailed = (error: TardisError) => void;

let lastNumber = 0;

export class SessionProfile {
  private session: inspector.Session | undefined = new inspector.Session();
  private readonly timer: NodeJS.Timeout;
  private readonly file: string;

  private constructor(
    private readonly plan: ProfilePlan,
    client: string,
    private readonly part: ProfilePart,
    private readonly onFailed: ProfileFailed,
  ) {
    lastNumber += 1;
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-'); // sorts by age
    const name = `${time}-${client}-${process.pid}-${lastNumber}-${part}.cpuprofile`;
    this.file = path.join(plan.directory, name);
    this.session!.connect();
    this.session!.post('Profiler.enable');
    this.session!.post('Profiler.setSamplingInterval', { interval: SAMPLING_MICROSECONDS });
    this.session!.post('Profiler.start');
    this.timer = setTimeout(() => this.stop(), MAX_PROFILE_MS);
    this.timer.unref();
  }

  /** Starts a profile; returns undefined without a plan. */
  static start(
    plan: ProfilePlan | undefined,
    client: string,
    part: ProfilePart,
    onFailed: ProfileFailed,
  ): SessionProfile | undefined {
    return plan && new SessionProfile(plan, client, part, onFailed);
  }

  /** Stops the profile and writes it. May be called again. */
  stop(): void {
    const { session } = this;
    if (session === undefined) return;
    this.session = undefined;
    clearTimeout(this.timer);
    // The callback runs before `post` returns, since the session is of this thread.
    session.post('Profiler.stop', (error, { profile } = { profile: undefined! }) => {
      try {
        if (error !== null) throw error;
        this.write(JSON.stringify(profile));
      } catch (cause) {
        this.onFailed(asTardisError(cause, `writing ${this.file}`));
      }
    });
    session.disconnect();
  }

  private write(text: string): void {
    const { directory, kept } = this.plan;
    guardDirectory(directory, path.dirname(directory));
    if (files.status(directory) === undefined) files.makeDirectory(directory);
    const fd = files.open(this.file, 'create');
    try {
      files.write(fd, Buffer.from(text), 0);
    } finally {
      files.close(fd);
    }
    const ending = `-${this.part}.cpuprofile`;
    const ours = files.list(directory).filter((name) => name.endsWith(ending));
    // Another thread may have deleted some already.
    for (const name of ours.sort().slice(0, -kept)) {
      unlinkIfThere(files, path.join(directory, name));
    }
  }
}
