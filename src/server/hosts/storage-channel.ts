/** Types of the channel between a server's main thread and a storage thread. */
import type { WireError } from '../../errors/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { CallReply, CallRequest, Channel } from '../../system/index.js';
import type { MessageName } from '../../transport/index.js';
import type { ProfilePlan } from '../session-profile.js';
import type { ClientStanding } from '../storage/client-standing.js';
import type { GcResult, GcWork } from '../storage/gc-work.js';
import type { SpaceTaken } from '../storage/measure-space.js';
import type { ClosingRequests } from '../storage/storage-options.js';
import type { SessionRequest } from './open-session.js';
import type { SideWork } from './side-work.js';

/** Data with which a storage thread is started. */
export interface StorageThreadData {
  /** The umask of the thread. */
  readonly umask: number;
  readonly profiles?: ProfilePlan | undefined;
}

/** Requests to a storage thread. */
export type StorageRequest =
  | { kind: 'open'; session: number; request: SessionRequest }
  | { kind: 'end' | 'abandon'; session: number }
  | { kind: 'measure'; directory: ClientDirectory; withEntries: boolean }
  | { kind: 'standing'; directory: ClientDirectory; withFigures: boolean }
  | { kind: 'collectGarbage'; directory: ClientDirectory; work: GcWork };

/** The result of a request; undefined if it has none. */
export type StorageResult = SpaceTaken | ClientStanding | GcResult | undefined;

/** Messages to a storage thread. */
export type ToStorage =
  | { op: 'call'; call: CallRequest<StorageRequest> }
  | { op: 'message'; session: number; name: MessageName; bytes: Uint8Array }
  | { op: 'park'; session: number }
  | { op: 'halt' };

/** Messages from a storage thread. */
export type FromStorage =
  | { op: 'reply'; reply: CallReply<StorageResult> }
  | { op: 'answer'; session: number; answer: Uint8Array | undefined; processedBytes: number }
  | { op: 'closing'; session: number; requests: ClosingRequests }
  | { op: 'failed'; session: number; error: WireError }
  | { op: 'sideWorkFailed'; client: string; error: WireError; what: SideWork };

/** The channel to a storage thread. */
export interface StorageChannel extends Channel {
  readonly data: StorageThreadData;
  readonly toThread: ToStorage;
  readonly fromThread: FromStorage;
}
