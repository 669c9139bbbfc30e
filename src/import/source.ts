/** A history that another program made: dated states of directories, which are stored as sets, oldest first. */

export interface State {
  /** Date of the state, in whole seconds, as milliseconds since 1970. */
  readonly atMs: number;
  /** Name of its set. */
  readonly name: string;
  /** Priority of its set, if the source has any. */
  readonly priority?: number;
}

/** A directory that shows a state, or a part of it. */
export interface ShownRoot {
  readonly directory: Buffer;
  /** Path under which it is stored. */
  readonly keptAs: Buffer;
}

export interface ShownState {
  readonly roots: readonly ShownRoot[];
  /** Messages about what the source could not show. */
  readonly lacks: readonly string[];
}

export interface ImportSource extends Disposable {
  /** Oldest first. No two have the same date. */
  readonly states: readonly State[];
  /**
   * Makes a state appear. It stays until the next call. Throws IMPORT_SOURCE_DAMAGED if the source does not have it any more, or a
   * program of the source fails.
   */
  show(state: State, signal: AbortSignal): Promise<ShownState>;
}

const SECOND_MS = 1000;

/** Returns states in the order of their dates, which become whole seconds. A date that an earlier state has becomes later. */
export function inOrder<S extends State>(states: readonly S[]): S[] {
  let lastMs = -Infinity;
  return states
    .map((state) => ({ ...state, atMs: Math.floor(state.atMs / SECOND_MS) * SECOND_MS }))
    .sort((one, other) => one.atMs - other.atMs || (one.name < other.name ? -1 : 1))
    .map((state) => {
      lastMs = Math.max(state.atMs, lastMs + SECOND_MS);
      return { ...state, atMs: lastMs };
    });
}
