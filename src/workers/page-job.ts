/** Lists one page of a large directory that differs, and frees the names held for it. */
import { Excluder } from '../excludes/index.js';
import { RowReader } from '../model/index.js';
import type { System } from '../system/index.js';
import { transferOf } from './block-builder.js';
import { inspectRows, nowNs, unreadableFailures } from './inspect.js';
import type { JobResult, PageInput, PageOutput } from './jobs.js';
import { LargeDirectory } from './large-directory.js';
import { OwnerNames } from './owner-names.js';
import { unpackBlock } from './directory-block.js';

export function pageJob(input: PageInput, system: System): JobResult<PageOutput> {
  const [task] = unpackBlock(input.directory);
  const { path, identity, rules, parent } = task!;
  const startNs = nowNs(system);
  const options = { ...input.excludes, reportsPaths: false };
  const excluder = new Excluder(options, system);
  const isRoot = parent < 0;
  const directory = new LargeDirectory(system, excluder, {
    task: { path, identity, rules, isRoot },
    held: input.held,
    reportsPaths: false,
  });
  const { listing, next, isLast } = directory.page(input.from);
  const owners = new OwnerNames(system);
  const rows = new RowReader(listing);
  const hash = system.native.hashRows(listing);
  const { unreadable } = inspectRows(system, listing, { startNs, directory: identity }, owners);
  const failures = unreadableFailures(system, task!, rows, unreadable);
  const output = { rows: listing, hash, next, isLast, owners: owners.take(), failures };
  return { output, transfer: transferOf(listing, hash) };
}

export function dropNamesJob(input: { readonly held: number }, system: System): JobResult<null> {
  system.native.dropNames(input.held);
  return { output: null, transfer: [] };
}
