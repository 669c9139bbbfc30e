/**
 * Measures the code that an input reaches, by V8's own block coverage. This needs no instrumented sources, no loader
 * and no native engine, and covers packages as well as this project. Counters are read as rarely as possible, since
 * each read takes about half a millisecond.
 */
import { type Profiler, Session } from 'node:inspector';

/** Matches code of this project, of targets, and of the packages that read hostile bytes. */
const GUIDING = /^file:.*\/(dist\/src|dist\/test\/fuzz\/(targets|planted)|node_modules)\//;

export class Coverage {
  private readonly session = new Session();
  /** One byte for each character, by script id: 1 if the character was reached. */
  private readonly reached = new Map<string, Uint8Array>();
  /** Number of characters reached in all. */
  reachedChars = 0;

  constructor() {
    this.session.connect();
    this.post('Profiler.enable');
    this.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  }

  /** Returns the code that ran since the last call, for `isNew` or `add`. */
  take(): Profiler.ScriptCoverage[] {
    const { result } = this.post(
      'Profiler.takePreciseCoverage',
    ) as Profiler.TakePreciseCoverageReturnType;
    return result.filter(({ url }) => GUIDING.test(url));
  }

  /** True if some of this code was never reached before. */
  isNew(scripts: readonly Profiler.ScriptCoverage[]): boolean {
    return scripts.some((script) => {
      const reached = this.reached.get(script.scriptId);
      return segments(script).some(
        ([from, to]) => reached === undefined || newIn(reached, from, to) > 0,
      );
    });
  }

  /** Records the code as reached; returns true if any of it is new. */
  add(scripts: readonly Profiler.ScriptCoverage[]): boolean {
    const before = this.reachedChars;
    for (const script of scripts) {
      for (const [from, to] of segments(script)) {
        const reached = this.roomFor(script.scriptId, to);
        this.reachedChars += newIn(reached, from, to);
        reached.fill(1, from, to);
      }
    }
    return this.reachedChars > before;
  }

  private roomFor(scriptId: string, chars: number): Uint8Array {
    const reached = this.reached.get(scriptId);
    if (reached !== undefined && reached.length >= chars) return reached;
    const larger = new Uint8Array(Math.max(chars, 2 * (reached?.length ?? 0)));
    if (reached !== undefined) larger.set(reached);
    this.reached.set(scriptId, larger);
    return larger;
  }

  /** Runs a command of the profiler, which answers before `post` returns. */
  private post(method: string, parameters: object = {}): unknown {
    let failure: Error | null = null;
    let answer: unknown;
    this.session.post(method, parameters, (error, result) => {
      failure = error;
      answer = result;
    });
    if (failure !== null) throw new Error(`${method} failed`, { cause: failure });
    return answer;
  }
}

/** Returns the number of characters in a range that were not reached yet; those past the end count as not reached. */
function newIn(reached: Uint8Array, from: number, to: number): number {
  const known = reached.subarray(from, to);
  let count = to - from - known.length;
  for (let at = known.indexOf(0); at >= 0; at = known.indexOf(0, at + 1)) count += 1;
  return count;
}

type Segment = readonly [from: number, to: number];

/**
 * Returns the ranges of a script that ran. V8 reports the ranges of functions and of blocks in them; the innermost
 * range counts. A function that did not run is reported if the function around it ran.
 */
export function segments(script: Profiler.ScriptCoverage): Segment[] {
  const ranges = script.functions.flatMap((one) => one.ranges);
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  const ran: Segment[] = [];
  const open: Profiler.CoverageRange[] = [];
  let from = 0;
  const upTo = (to: number): void => {
    if (to > from && (open.at(-1)?.count ?? 0) > 0) ran.push([from, to]);
    from = Math.max(from, to);
  };
  const closeUpTo = (to: number): void => {
    while (open.length > 0 && open.at(-1)!.endOffset <= to) {
      upTo(open.at(-1)!.endOffset);
      open.pop();
    }
  };
  for (const range of ranges) {
    closeUpTo(range.startOffset);
    upTo(range.startOffset);
    open.push(range);
  }
  closeUpTo(Infinity);
  return ran;
}
