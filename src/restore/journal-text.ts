/**
 * Reads and writes the text of a restore's journal: a line of JSON. The file is untrusted, since any user may have
 * written it.
 */
import type { SetNumber } from '../model/index.js';

/** Paths of entries that failed in an earlier run, relative to the output. */
export class FailedBefore {
  static readonly none: FailedBefore = new FailedBefore(new Set());

  private constructor(
    /** The failed paths; undefined if there were too many to record, so that any entry may have failed. */
    private readonly paths: ReadonlySet<string> | undefined,
  ) {}

  static of(paths: readonly Buffer[]): FailedBefore {
    const bytes = paths.reduce((sum, path) => sum + path.length, 0);
    if (paths.length > MAX_PATHS || bytes > MAX_PATH_BYTES) return new FailedBefore(undefined);
    return new FailedBefore(new Set(paths.map((path) => path.toString('latin1'))));
  }

  /** Parses a value that `toJson` returned. Any other value counts as no failed paths. */
  static from(read: unknown): FailedBefore {
    if (read === EVERYTHING) return new FailedBefore(undefined);
    if (!Array.isArray(read)) return FailedBefore.none;
    const paths = read.filter((path) => typeof path === 'string');
    return FailedBefore.of(paths.map((path) => Buffer.from(path, 'base64')));
  }

  get isEmpty(): boolean {
    return this.paths?.size === 0;
  }

  has(path: Buffer): boolean {
    return this.paths?.has(path.toString('latin1')) ?? true;
  }

  toJson(): unknown {
    if (this.paths === undefined) return EVERYTHING;
    return [...this.paths].map((path) => Buffer.from(path, 'latin1').toString('base64'));
  }
}

const EVERYTHING = 'all';
const MAX_PATHS = 16_384;
const MAX_PATH_BYTES = 2 << 20;
/** Maximum size of a journal; a longer file is not a journal. */
export const MAX_JOURNAL_BYTES: number = 4 << 20;

export interface JournalText {
  readonly set: SetNumber | undefined;
  /** Boot id of the machine; empty if unknown. */
  readonly boot: string;
  /** True if the run ended, with failures, so that no entry is partly restored. */
  readonly isEnded: boolean;
  /**
   * Time at which the first run began, by the clock of the target's file system. Undefined if this journal is that of
   * the first run.
   */
  readonly firstSinceNs: bigint | undefined;
  readonly failed: FailedBefore;
}

const UNKNOWN: JournalText = Object.freeze({
  set: undefined,
  boot: '',
  isEnded: false,
  firstSinceNs: undefined,
  failed: FailedBefore.none,
});
const DECIMAL = /^-?\d{1,20}$/;

export function formatJournal(text: JournalText): Buffer {
  const { set, boot, isEnded, firstSinceNs, failed } = text;
  const earlier = firstSinceNs === undefined ? {} : { first: String(firstSinceNs) };
  const paths = failed.isEmpty ? {} : { failed: failed.toJson() };
  const ended = isEnded ? { ended: true } : {};
  return Buffer.from(JSON.stringify({ version: 1, set, boot, ...ended, ...earlier, ...paths }));
}

/**
 * Parses a journal. If the text is malformed, all values are unknown, since a run may have been killed before it wrote
 * anything.
 */
export function parseJournal(text: string): JournalText {
  if (!text.startsWith('{') || !text.endsWith('}')) return UNKNOWN;
  try {
    const { set, boot, ended, first, failed } = JSON.parse(text) as Record<string, unknown>;
    return {
      set: typeof set === 'number' ? set : undefined,
      boot: typeof boot === 'string' ? boot : '',
      isEnded: ended === true,
      firstSinceNs: typeof first === 'string' && DECIMAL.test(first) ? BigInt(first) : undefined,
      failed: FailedBefore.from(failed),
    };
  } catch {
    return UNKNOWN; // the file is not a journal, but the user's
  }
}
