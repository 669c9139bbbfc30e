/** Codecs of retention verdicts, and of requests to forget paths. */
import { isForgetPath, isForgetRequest, MAX_FORGET_REQUESTS } from '../../model/index.js';
import { isReason, type Verdict } from '../../retention/index.js';
import type { Body } from '../../transport/index.js';
import { asIs, type Coder, odd, refused } from './coder.js';

/** The verdict on each set. */
export interface Verdicts {
  readonly verdicts: readonly Verdict[];
  readonly isClockInDoubt: boolean;
  /** Tags in the rules that no set has. */
  readonly unusedTags: readonly string[];
}

export const VERDICTS: Coder<Verdicts, Body<'setsPurged'>, unknown> = {
  toWire: (verdicts) => verdicts,
  fromWire: ({ verdicts, ...found }) => ({
    ...found,
    verdicts: verdicts.map(({ set, reasons }) => {
      if (!reasons.every(isReason)) throw odd('reasons');
      return { set, reasons };
    }),
  }),
};

export const TO_FORGET = asIs<'forgetPaths'>(({ paths }) => {
  if (paths.length > MAX_FORGET_REQUESTS || !paths.every(isForgetPath)) {
    throw refused('a path to forget');
  }
});

/** Requests to forget paths; after a preview, `report` has the figures of the data that would be removed. */
export const FORGETS = asIs<'forgetsAre'>(({ requests }) => {
  const isRight = requests.length <= MAX_FORGET_REQUESTS && requests.every(isForgetRequest);
  if (!isRight) throw odd('requests to forget');
});
