/** Converts changes of sets and retention verdicts to fields of messages and back, with checks. */
import { TardisError } from '../../errors/index.js';
import type { SetChange } from '../../model/index.js';
import { isReason, type Verdict } from '../../retention/index.js';
import type { Head } from '../../transport/index.js';

type Fields = Pick<Head<'markSets'>, 'change' | 'addTags' | 'removeTags'>;

const KINDS = {
  title: 'string',
  priority: 'number',
  isLocked: 'boolean',
  isExpendable: 'boolean',
} as const;

export function setChangeToWire(wish: SetChange): Fields {
  const change: Fields['change'] = {};
  for (const name of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    const value = wish[name];
    if (value !== undefined) change[name] = value;
  }
  return { change, addTags: [...(wish.addTags ?? [])], removeTags: [...(wish.removeTags ?? [])] };
}

/** Decodes a change of sets. The marks are validated when they are changed, not here. Throws PROTOCOL_VIOLATION. */
export function setChangeFromWire({ change, addTags, removeTags }: Fields): SetChange {
  for (const [name, value] of Object.entries(change)) {
    if (Object.hasOwn(KINDS, name) && typeof value === KINDS[name as keyof typeof KINDS]) continue;
    throw new TardisError('PROTOCOL_VIOLATION', 'marks of sets change in a way that cannot be');
  }
  return { ...change, addTags, removeTags };
}

type Told = Pick<Head<'setsPurged'>, 'sets' | 'reasons' | 'inDoubt'>;

/** The verdict on each set. */
export interface Verdicts {
  readonly verdicts: readonly Verdict[];
  readonly isClockInDoubt: boolean;
}

export function verdictsToWire({ verdicts, isClockInDoubt }: Verdicts): Told {
  return {
    sets: verdicts.map(({ set }) => set),
    reasons: verdicts.map(({ reasons }) => JSON.stringify(reasons)),
    inDoubt: isClockInDoubt,
  };
}

/** Decodes verdicts. Throws PROTOCOL_VIOLATION. */
export function verdictsFromWire({ sets, reasons, inDoubt }: Told): Verdicts {
  if (reasons.length !== sets.length) throw oddVerdicts();
  const verdicts = sets.map((set, index) => {
    let told: unknown;
    try {
      told = JSON.parse(reasons[index]!);
    } catch (error) {
      throw oddVerdicts(error);
    }
    if (!Array.isArray(told) || !told.every(isReason)) throw oddVerdicts();
    return { set, reasons: told };
  });
  return { verdicts, isClockInDoubt: inDoubt };
}

function oddVerdicts(cause?: unknown): TardisError {
  const what = 'what is told of a purge makes no sense';
  return new TardisError('PROTOCOL_VIOLATION', what, {}, cause);
}
