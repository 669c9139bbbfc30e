/** What a caller wants to be told while the pipeline runs. */
import type { LeftOut } from '../excludes/index.js';
import type { Failure } from '../workers/index.js';
import type { OnSaved } from './report.js';

export interface PipelineHooks {
  onFailures(failures: readonly Failure[]): void;
  /** A directory was compared; its listing was known to be unchanged, or not. */
  onDirectory?(path: Buffer, isSame: boolean): void;
  onSaved?: OnSaved;
  /** What was left out, if the walk tells it. */
  onLeftOut?(leftOut: readonly LeftOut[]): void;
}
