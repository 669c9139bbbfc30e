/** Callbacks of the caller while the pipeline runs. */
import type { LeftOut } from '../excludes/index.js';
import type { Failure } from '../workers/index.js';

export interface PipelineHooks {
  onFailures(failures: readonly Failure[]): void;
  /** Called after a directory was compared; `isSame` is true if its listing is unchanged. */
  onDirectory?(path: Buffer, isSame: boolean): void;
  /** Called for each entry whose new version is sent, except for directories. */
  readonly onSaved?: (path: Buffer) => void;
  /** Called with the entries that were left out, if the walk reports them. */
  onLeftOut?(leftOut: readonly LeftOut[]): void;
}
