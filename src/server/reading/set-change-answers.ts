/** Answers to who drops sets of a client, marks them, or asks for a purge. */
import { setChangeFromWire, verdictsToWire } from '../../archive/index.js';
import type { Catalog } from '../../catalog/index.js';
import type { PurgeReport, PurgeWish } from '../../keeper/index.js';
import type { SetChange } from '../../model/index.js';
import { answer, headOf } from './answer-messages.js';
import type { ChangeSetting } from './report-answers.js';

/** What sets may go over the network, and which do by the rules of the server. */
export interface PurgeRights {
  readonly leastAgeMs: number;
  /** What is to be forgotten goes no sooner after it was asked for. */
  readonly forgetAfterMs: number;
  readonly wishFor: (catalog: Catalog) => PurgeWish;
}

/** What whoever has the right to may change of sets and settings. */
export interface SetChanges {
  /** Or only whether they may go. */
  readonly drop: (sets: readonly number[], isPreview: boolean) => Promise<void>;
  readonly mark: (sets: readonly number[], wish: SetChange) => Promise<void>;
  /** By the server's rules, or only what would go by them. */
  readonly purge: (isPreview: boolean) => Promise<PurgeReport>;
  readonly set: ChangeSetting;
}

/** Throws PROTOCOL_VIOLATION, and what the change throws. */
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
