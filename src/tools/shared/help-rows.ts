/** The parts of the help of a command. */

export interface Example {
  readonly line: string;
  /** Description without a full stop. */
  readonly what: string;
}

export interface ToolHelp {
  /** One sentence; for sub-commands without a capital and a full stop. */
  readonly summary: string;
  /** Paragraphs before the examples. */
  readonly about?: readonly string[];
  readonly examples: readonly Example[];
  /** Paragraphs after the examples: exit status and the like. */
  readonly notes?: readonly string[];
}

/** Note on the rules of retention, for the commands that have them. */
export const KEEP_NOTE =
  'If a server purges by schedule, or for an account without the right `purge`, the oldest set of each period is kept, and --keep-last keeps at most one set of each day.';

export const D = '-D /srv/tardis';
export const AT = `${D} -C laptop`;

export const example = (line: string, what: string): Example => ({ line, what });
