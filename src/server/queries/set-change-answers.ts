/** Answers to requests that delete sets of a client, change their marks, or purge by rules. */
import { setChangeFromWire, verdictsToWire } from '../../history/index.js';
import type { Catalog } from '../../store/catalog/index.js';
import type { PurgeReport, PurgeWish } from '../../maintenance/gc/index.js';
import type { SetChange } from '../../model/index.js';
import { answer, headOf } from './answer-messages.js';
import type { ChangeSetting } from './report-answers.js';

/** Limits for deleting sets over the network, and the server's retention rules. */
export interface PurgeRights {
  readonly leastAgeMs: number;
  /** Least time between a request to forget a path and its due date. */
  readonly forgetAfterMs: number;
  readonly wishFor: (catalog: Catalog) => PurgeWish;
}

/** Operations on a client's sets and settings. */
export interface SetChanges {
  /** Deletes sets, or only checks whether they may be deleted. */
  readonly drop: (sets: readonly number[], isPreview: boolean) => Promise<void>;
  readonly mark: (sets: readonly number[], wish: SetChange) => Promise<void>;
  /** Deletes sets by the server's retention rules, or only returns the decision. */
  readonly purge: (isPreview: boolean) => Promise<PurgeReport>;
  readonly set: ChangeSetting;
}

/** Throws PROTOCOL_VIOLATION, and errors of the change. */
export async function answerChange(
  name: 'dropSets' | 'markSets' | 'purgeSets' | 'previewPurge',
  bytes: Buffer,
  changes: SetChanges,
): Promise<Buffer> {
  if (name === 'dropSets') {
    const { question, sets, preview } = headOf(name, bytes);
    await changes.drop(sets, preview);
    return answer('setsDropped', { question });
  }
  if (name === 'purgeSets' || name === 'previewPurge') {
    const { question } = headOf(name, bytes);
    const report = await changes.purge(name === 'previewPurge');
    return answer('setsPurged', { question, ...verdictsToWire(report) });
  }
  const { question, sets, ...wish } = headOf(name, bytes);
  await changes.mark(sets, setChangeFromWire(wish));
  return answer('setsMarked', { question });
}
