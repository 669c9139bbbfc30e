/**
 * `Profile`: where the time of a session goes in one thread of the server, as a file for the tools of Chrome and editors
 * (`.cpuprofile`). Sessions at the same time have a profile each, of the same thread: it shows the work for all of them.
 */
import fs from 'node:fs';
import inspector from 'node:inspector';
import path from 'node:path';
import { asTardisError, systemCode, type TardisError } from '../errors/index.js';
import { exactPath } from '../system/index.js';

/** In the store; no client's name begins with a dot. */
export const PROFILES_DIRECTORY = '.profiles';
/** A profile grows all the time: 7 MB in ten minutes. */
const MAX_PROFILE_MS = 600_000;
const SAMPLING_MICROSECONDS = 1000;
const FILE_MODE = 0o640;

export interface ProfilePlan {
  /** Byte text. */
  readonly directory: string;
  /** Of each part so many are kept, the newest ones. */
  readonly kept: number;
}

/** `server`: connections, logins, dispatch; `storage`: packs and catalog. */
export type ProfilePart = 'server' | 'storage';

export type ProfileFailed = (error: TardisError) => void;

let lastNumber = 0;

export class SessionProfile {
  private session: inspector.Session | undefined = new inspector.Session();
  private readonly timer: NodeJS.Timeout;
  private readonly file: string;
  private readonly plan: ProfilePlan;
  private readonly part: ProfilePart;
  private readonly onFailed: ProfileFailed;

  private constructor(
    plan: ProfilePlan,
    client: string,
    part: ProfilePart,
    onFailed: ProfileFailed,
  ) {
    this.plan = plan;
    this.part = part;
    this.onFailed = onFailed;
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

  /** Undefined: none is wanted. */
  static start(
    plan: ProfilePlan | undefined,
    client: string,
    part: ProfilePart,
    onFailed: ProfileFailed,
  ): SessionProfile | undefined {
    return plan && new SessionProfile(plan, client, part, onFailed);
  }

  /** Writes it. May be called again. */
  stop(): void {
    const { session } = this;
    if (session === undefined) return;
    this.session = undefined;
    clearTimeout(this.timer);
    // In one's own thread the answer comes before `post` returns.
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
    const directory = exactPath(this.plan.directory);
    fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
    fs.writeFileSync(exactPath(this.file), text, { mode: FILE_MODE, flag: 'wx' });
    const ending = `-${this.part}.cpuprofile`;
    const ours = fs.readdirSync(directory).filter((name) => name.endsWith(ending));
    for (const name of ours.sort().slice(0, -this.plan.kept)) {
      removeIfThere(path.join(this.plan.directory, name));
    }
  }
}

/** Another thread may remove it too. */
function removeIfThere(file: string): void {
  try {
    fs.unlinkSync(exactPath(file));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
