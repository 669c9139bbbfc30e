/** Codecs of changes of sets, of retention verdicts, and of requests to forget paths. */
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetPath,
  isForgetRequest,
  MAX_FORGET_REQUESTS,
  type SetChange,
  type SetNumber,
} from '../../model/index.js';
import { isReason, type Reason, type Verdict } from '../../retention/index.js';
import type { Body } from '../../transport/index.js';
import { asIs, type Coder, odd, refused } from './coder.js';

/** A change of the marks of some sets. */
interface SetsChange {
  readonly sets: readonly SetNumber[];
  readonly change: SetChange;
}

/** Codec of a change of marks. The marks are validated when they are changed, not here. */
export const SET_CHANGE: Coder<SetsChange, Body<'markSets'>, unknown> = {
  toWire: ({ sets, change: { addTags = [], removeTags = [], ...change } }) => {
    return { sets: [...sets], change, addTags: [...addTags], removeTags: [...removeTags] };
  },
  fromWire: ({ sets, change, addTags, removeTags }) => {
    return { sets, change: { ...change, addTags, removeTags } };
  },
};

/** The verdict on each set. */
export interface Verdicts {
  readonly verdicts: readonly Verdict[];
  readonly isClockInDoubt: boolean;
  /** Tags in the rules that no set has. */
  readonly unusedTags: readonly string[];
}

export const VERDICTS: Coder<Verdicts, Body<'setsPurged'>, unknown> = {
  toWire: ({ verdicts, isClockInDoubt, unusedTags }) => ({
    verdicts: verdicts.map(({ set, reasons }) => ({ set, reasons: [...reasons] })),
    inDoubt: isClockInDoubt,
    unusedTags: [...unusedTags],
  }),
  fromWire: ({ verdicts, inDoubt, unusedTags }) => ({
    verdicts: verdicts.map(({ set, reasons }) => ({ set, reasons: reasons.map(reasonOf) })),
    isClockInDoubt: inDoubt,
    unusedTags,
  }),
};

function reasonOf({ why, what, which }: { why: string; what?: string; which?: string }): Reason {
  const reason: Record<string, string> = { why };
  if (what !== undefined) reason['what'] = what;
  if (which !== undefined) reason['which'] = which;
  if (!isReason(reason)) throw odd('reasons');
  return reason;
}

export const TO_FORGET: Coder<
  Body<'forgetPaths'>,
  Body<'forgetPaths'>,
  unknown
> = asIs<'forgetPaths'>(({ paths }) => {
  if (paths.length > MAX_FORGET_REQUESTS || !paths.every(isForgetPath)) {
    throw refused('a path to forget');
  }
});

/** Requests to forget paths; after a preview, `report` has the figures of the data that would be removed. */
interface Forgets {
  readonly requests: readonly ForgetRequest[];
  readonly report?: ForgetReport | undefined;
}

export const FORGETS: Coder<Forgets, Body<'forgetsAre'>, unknown> = {
  toWire: ({ requests, report }) => ({ requests: [...requests], report }),
  fromWire: ({ requests, report }) => {
    const isRight = requests.length <= MAX_FORGET_REQUESTS && requests.every(isForgetRequest);
    if (!isRight) throw odd('requests to forget');
    return { requests, report };
  },
};
