/** Converts requests to forget paths, and reports on them, to fields of messages and back, with checks. */
import { TardisError } from '../../errors/index.js';
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetRequest,
  MAX_FORGET_REQUESTS,
} from '../../model/index.js';
import type { Head } from '../../transport/index.js';

type Told = Pick<Head<'forgetsAre'>, 'ids' | 'paths' | 'lastSets' | 'askedAt' | 'dueAt' | 'report'>;

const FIGURES = [
  'versions',
  'fileBytes',
  'sets',
  'lockedSets',
  'rootsBelow',
  'contents',
  'contentBytes',
  'heldElsewhere',
] as const satisfies readonly (keyof ForgetReport)[];

export function forgetsToWire(requests: readonly ForgetRequest[], report?: ForgetReport): Told {
  const { isInNewest, ...figures } = report ?? {};
  return {
    ids: requests.map(({ id }) => id),
    paths: requests.map(({ path }) => path),
    lastSets: requests.map(({ lastSet }) => lastSet),
    askedAt: requests.map(({ askedAtMs }) => askedAtMs),
    dueAt: requests.map(({ dueAtMs }) => dueAtMs),
    report: report === undefined ? {} : { ...figures, isInNewest: isInNewest === true },
  };
}

/** Decodes requests to forget paths. Throws PROTOCOL_VIOLATION. */
export function forgetsFromWire({ ids, paths, lastSets, askedAt, dueAt }: Told): ForgetRequest[] {
  const requests = ids.map((id, index) => ({
    id,
    path: paths[index],
    lastSet: lastSets[index],
    askedAtMs: askedAt[index],
    dueAtMs: dueAt[index],
  }));
  const isWhole = [paths, lastSets, askedAt, dueAt].every(({ length }) => length === ids.length);
  if (!isWhole || ids.length > MAX_FORGET_REQUESTS || !requests.every(isForgetRequest)) throw odd();
  return requests;
}

/** Decodes the report of what would be forgotten. Throws PROTOCOL_VIOLATION. */
export function forgetReportFromWire({ report }: Told): ForgetReport {
  const { isInNewest, ...rest } = report;
  const figures = rest as Record<(typeof FIGURES)[number], unknown>;
  const isWhole =
    typeof isInNewest === 'boolean' && FIGURES.every((name) => Number.isSafeInteger(figures[name]));
  if (!isWhole) throw odd();
  return { ...(figures as Record<(typeof FIGURES)[number], number>), isInNewest };
}

function odd(): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', 'what is told of forgetting makes no sense');
}
