/** What a server does for a client that asks for it and takes its time: in a thread of its own, so that nobody waits. */
import type { WireError } from '../../errors/index.js';
import type { StoreLimits } from '../../keeper/index.js';
import type { ForgetRequest } from '../../model/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { ReadRequest } from '../../verify/index.js';

export type TendingWork =
  /** `mark`: what is damaged is noted in the store. */
  | { readonly kind: 'check'; readonly read: ReadRequest; readonly mark: boolean }
  /** What nothing needs is freed, whatever is known of it. */
  | { readonly kind: 'free'; readonly graceMs: number; readonly wasteRatio: number }
  /** What would go with these paths. */
  | { readonly kind: 'preview'; readonly paths: readonly Uint8Array[] }
  /** The client, which does not encrypt, is written anew without what is due. */
  | {
      readonly kind: 'forget';
      readonly requests: readonly Passed[];
      readonly skipFile: string;
    };

/** A request as it comes to another thread. */
type Passed = Omit<ForgetRequest, 'path'> & { readonly path: Uint8Array };

/** How far it is; `of` undefined: that is not known. */
export interface TendingProgress {
  readonly step: string;
  readonly done: number;
  readonly of?: number;
}

/** What the thread is started with. */
export interface TendingTask {
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  readonly umask: number | undefined;
  readonly work: TendingWork;
}

/** What it says; anything that it is told means that it is to stop. */
export type FromTending =
  | { readonly op: 'finding'; readonly text: string }
  | { readonly op: 'progress'; readonly progress: TendingProgress }
  /** `result`: JSON. */
  | { readonly op: 'done'; readonly result: string }
  | { readonly op: 'failed'; readonly error: WireError };
