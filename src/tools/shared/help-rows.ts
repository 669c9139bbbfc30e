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

export const D = '-D /srv/tardis';
export const AT = `${D} -C laptop`;

export const example = (line: string, what: string): Example => ({ line, what });
