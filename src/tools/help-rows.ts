/** What the help of a command is made of. */

export interface Example {
  readonly line: string;
  /** What it does, without a full stop. */
  readonly what: string;
}

export interface ToolHelp {
  /** One sentence; of sub-commands without capital and full stop. */
  readonly summary: string;
  /** Paragraphs before the examples. */
  readonly about?: readonly string[];
  readonly examples: readonly Example[];
  /** Paragraphs behind them: exit status and the like. */
  readonly notes?: readonly string[];
}

export const D = '-D /srv/tardis';
export const AT = `${D} -C laptop`;

export const example = (line: string, what: string): Example => ({ line, what });
