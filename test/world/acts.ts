/** The acts of a life and the troubles in them, as words that can be printed, left out and lived again. */
import type { Choose } from '../helpers/random-tree.js';
import { type Change, CHANGES, NAMES, PLACES } from './tree.js';

/** Kinds of trouble of work at a directory, and at a bucket: the process dies, the disk is full or broken, the power is cut, a request fails. */
const OF_DISK = ['kill', 'full', 'broken', 'power'] as const;
const OF_BUCKET = ['kill', 'full', 'broken', 'request', 'request', 'request'] as const;
/** Kinds of trouble of a link, which only a backup has: it is cut, or falls silent. */
const OF_LINK = ['cut', 'silent'] as const;

export interface Trouble {
  readonly what: (typeof OF_DISK | typeof OF_BUCKET | typeof OF_LINK)[number];
  /** Number of the operation or message that it hits; the part of all changes for a power cut, by a thousand. */
  readonly at: number;
}

export type Act = { readonly trouble?: Trouble } & (
  | { readonly act: 'change'; readonly change: Change }
  | {
      readonly act: 'backup';
      readonly roots: readonly string[];
      readonly dump?: string;
      readonly number: number;
    }
  | { readonly act: 'delete'; readonly nth: number }
  | { readonly act: 'collect' | 'rebuild' | 'check' | 'rekey' | 'copy' | 'lose the catalog' }
  | { readonly act: 'purge'; readonly keep: number }
  | { readonly act: 'forget'; readonly nth: number }
  | { readonly act: 'restore'; readonly nth: number; readonly path: number }
  | { readonly act: 'flip'; readonly file: number; readonly at: number }
  | { readonly act: 'clock'; readonly byMs: number }
);

const DUMPS = ['one dump', 'other dump'];
const DAY_MS = 86_400_000;
/** One of so many acts meets trouble. */
const TROUBLE_EVERY = 3;
const MOST_OPERATIONS = 600;
const MOST_MESSAGES = 40;
/** Work that trouble can hit. */
const STRUCK: ReadonlySet<Act['act']> = new Set<Act['act']>([
  'backup',
  'delete',
  'collect',
  'rebuild',
  'check',
  'rekey',
  'copy',
  'purge',
  'forget',
  'lose the catalog',
]);

/** How often each act comes. */
const SHARES: readonly (readonly [Act['act'], number])[] = [
  ['change', 10],
  ['backup', 10],
  ['delete', 2],
  ['collect', 2],
  ['purge', 1],
  ['rebuild', 1],
  ['lose the catalog', 1],
  ['check', 1],
  ['rekey', 1],
  ['copy', 1],
  ['forget', 1],
  ['restore', 1],
  ['flip', 1],
  ['clock', 1],
];

/** Returns the acts of a life. */
export function actsOf(choose: Choose, count: number, isBucket: boolean): Act[] {
  const total = SHARES.reduce((sum, [, share]) => sum + share, 0);
  const acts: Act[] = [{ act: 'backup', roots: ['D'], number: 0 }];
  while (acts.length < count - 1) {
    let turn = choose(total);
    const [kind] = SHARES.find(([, share]) => (turn -= share) < 0)!;
    acts.push(actOf(kind, choose, acts.length, isBucket));
  }
  return [...acts, { act: 'backup', roots: ['D', 'E'], number: count }];
}

function actOf(kind: Act['act'], choose: Choose, number: number, isBucket: boolean): Act {
  const act = wordsOf(kind, choose, number);
  if (!STRUCK.has(kind) || choose(TROUBLE_EVERY) > 0) return act;
  const troubles: readonly Trouble['what'][] = [
    ...(isBucket ? OF_BUCKET : OF_DISK),
    ...(kind === 'backup' ? OF_LINK : []),
  ];
  const what = troubles[choose(troubles.length)]!;
  const isFew = what === 'cut' || what === 'silent' || what === 'request';
  const most = isFew ? MOST_MESSAGES : MOST_OPERATIONS;
  const at = what === 'power' ? choose(1001) : 1 + choose(1 + choose(most));
  return { ...act, trouble: { what, at } };
}

function wordsOf(kind: Act['act'], choose: Choose, number: number): Act {
  const one = <T>(of: readonly T[]): T => of[choose(of.length)]!;
  switch (kind) {
    case 'change':
      return {
        act: kind,
        change: {
          how: one(CHANGES),
          place: one(PLACES),
          name: one(NAMES),
          other: one(PLACES),
          number,
        },
      };
    case 'backup': {
      const roots: string[] = PLACES.filter(() => choose(3) === 0);
      if (choose(4) === 0) roots.push(`${one(PLACES)}/f`);
      if (roots.length === 0) roots.push('D');
      return { act: kind, roots, number, ...(choose(5) === 0 ? { dump: one(DUMPS) } : {}) };
    }
    case 'purge':
      return { act: kind, keep: 1 + choose(4) };
    case 'delete':
    case 'forget':
      return { act: kind, nth: choose(1000) };
    case 'restore':
      return { act: kind, nth: choose(1000), path: choose(1000) };
    case 'flip':
      return { act: kind, file: choose(1000), at: choose(1_000_000) };
    case 'clock':
      return { act: kind, byMs: (choose(60) - 10) * DAY_MS + choose(DAY_MS) };
    default:
      return { act: kind };
  }
}
