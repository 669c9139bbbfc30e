/** Options of a storage session, and the interface that receives its reports. */
import { meantSettings } from '../../config/index.js';
import type { TardisError } from '../../errors/index.js';
import type { FormatWords, RuleWords } from '../../retention/index.js';
import { type Catalog, settingsOf } from '../../store/catalog/index.js';
import type { SpaceGrant, StoreLimits } from '../../store/writer/index.js';
import type { MessageName } from '../../transport/index.js';

interface CheckpointLimits {
  readonly bytes: number;
  readonly entries: number;
  readonly intervalMs: number;
}

export interface DeltaLimits {
  /** Maximum length of a chain of deltas on deltas; 0 stores every content whole. */
  readonly maxChain: number;
  /**
   * Maximum change of a file's size, and maximum size of its delta, in percent of its size. Beyond either, the file is
   * sent whole.
   */
  readonly maxChangePercent: number;
  /** True to store every content whole. */
  readonly saveFull: boolean;
  /** True if the store is a bucket, from which a basis is fetched to make its signature. */
  readonly isRemote?: boolean;
}

export interface StorageOptions {
  readonly store: StoreLimits;
  readonly deltas: DeltaLimits;
  readonly checkpoint: CheckpointLimits;
  /** The account of the session; empty or undefined for the client itself. */
  readonly account?: string;
  /** True if the session's account has the right to purge. */
  readonly mayPurge?: boolean;
  /** The quota of the session's account, if it has one. */
  readonly space?: SpaceGrant | undefined;
  /** Minimum age of a set that may be deleted over the network. */
  readonly leastAgeMs?: number;
  /** Minimum time between a request over the network to forget a path and its due date. */
  readonly forgetAfterMs?: number;
  /** Settings for garbage collection at a client's request. */
  readonly freeing?: { readonly graceMs: number; readonly wasteRatio: number };
  /** Permissions that files in the store do not get. */
  readonly umask?: number;
  /** True to store the configurations that clients send; true if undefined. */
  readonly saveConfig?: boolean;
  /** Name formats for sets that have no name from the client. */
  readonly names?: FormatWords;
  /** Retention rules for purges by the server. */
  readonly rules?: RuleWords;
}

/** Requests of a client for the time after its set. */
export interface ClosingRequests {
  /** True if old sets are to be purged after the session. */
  readonly isPurgeRequested: boolean;
  /** True if the client waits for the report on the work after its set. */
  readonly isAwaited: boolean;
}

/** Receives the reports of a session. */
export interface StorageEvents {
  /**
   * Delivers an answer for the client, if any; `processedBytes` of messages were handled since the last call. The buffer
   * belongs to the receiver from then on.
   */
  answer(answer: Buffer | undefined, processedBytes: number): void;
  /** Reports that the client closes its set, before the set is complete. */
  closing(requests: ClosingRequests): void;
  /** Reports that the session failed and its store is closed; no further events follow. */
  failed(error: TardisError): void;
}

/** One session on a client's store. */
export interface StorageHandle {
  /** Passes one message to the storage. The buffer belongs to the storage from then on. */
  post(name: MessageName, bytes: Buffer): void;
  /**
   * Makes received data durable soon, even if no further message arrives. In a bucket, the session then fails with
   * STORE_TAKEN if another one has begun; that takes one request. May be called again.
   */
  park(): void;
  /** Ends the session at a checkpoint. */
  end(): Promise<void>;
  /** Ends the session at once, and discards all data that no checkpoint covers. */
  abandon(): Promise<void>;
}

/** Returns the server's options, overridden by the settings that are stored with the client. */
export function optionsFor(catalog: Catalog, options: StorageOptions): StorageOptions {
  const kept = meantSettings(settingsOf(catalog));
  if (kept.size === 0) return options;
  const number = (key: string, otherwise: number): number => {
    const value = kept.get(key);
    return typeof value === 'number' ? value : otherwise;
  };
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = kept.get(key);
    return typeof value === 'boolean' ? value : otherwise;
  };
  const { deltas, saveConfig = true } = options;
  return {
    ...options,
    deltas: {
      maxChain: number('MaxDeltaChain', deltas.maxChain),
      maxChangePercent: number('MaxChangePercent', deltas.maxChangePercent),
      saveFull: flag('SaveFull', deltas.saveFull),
    },
    saveConfig: flag('SaveConfig', saveConfig),
  };
}

export { formatsFor } from '../../store/writer/index.js';
