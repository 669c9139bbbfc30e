/** The routes of acts: a backup, a check, and changes of sets. Each begins a job. */
import type { BackupSet, History } from '../../history/index.js';
import type { RightName, SetNumber } from '../../model/index.js';
import {
  type AddedRoute,
  addedRoute,
  changedRules,
  checkedRules,
  encodedPathIn,
  invalidRequest,
  setOf,
} from '../api/index.js';
import type { Act, Acts, Commands, SetupAnswers } from './acts.js';
import { JOB } from './job-routes.js';
import type { Jobs } from './jobs.js';
import { shownDoubts } from './restores.js';
import {
  CheckBody,
  DeletionBody,
  ForgetBody,
  JobState,
  LockBody,
  PurgeBody,
  SetupBody,
  TagBody,
} from './schemas.js';

const CLIENT = '/clients/{client}';

interface Offering {
  readonly jobs: Jobs;
  readonly acts: Acts;
  readonly commands: Commands | undefined;
}

/** Returns the routes of the acts that this program offers. */
export function actRoutes({ jobs, acts, commands }: Offering, history: History): AddedRoute[] {
  const { offers = [] } = commands ?? {};
  const begun = (act: Act, undo?: Act): JobState =>
    acts.begin(act, undo).shown(shownDoubts(history));
  return [
    ...(commands !== undefined && offers.includes('backup')
      ? [backupRoute(begun), ...setupRoutes(commands, begun)]
      : []),
    ...(offers.includes('change') ? changeRoutes(begun) : []),
    ...(offers.includes('purge') ? [purgeRoute(begun)] : []),
    undoRoute(jobs, begun),
  ];
}

function purgeRoute(begun: Begun): AddedRoute {
  return addedRoute(
    rowOf(
      'purges',
      'purge',
      'Deletes the sets that no rule keeps, and stores the rules.',
      PurgeBody,
    ),
    async ({ body: { rules: given, saves }, lease }) => {
      const rules = checkedRules(given);
      const stores = saves ? changedRules(rules, await lease.history.reports.settings()) : [];
      return begun({ kind: 'purge', rules, stores: Object.fromEntries(stores) });
    },
  );
}

function undoRoute(jobs: Jobs, begun: Begun): AddedRoute {
  return addedRoute(
    {
      method: 'POST',
      path: `${JOB}/undo`,
      right: 'purge',
      summary: 'Takes an act back, as far as its data allow: `canUndo` of the job.',
      reply: JobState,
    },
    async ({ params }) => {
      const { id, undo, isRunning } = jobs.find(params['id'] ?? '');
      if (undo === undefined || isRunning) throw invalidRequest('this job cannot be undone');
      const job = begun(undo);
      jobs.forget(id);
      return job;
    },
  );
}

type Begun = (act: Act, undo?: Act) => JobState;

function backupRoute(begun: Begun): AddedRoute {
  return addedRoute(
    {
      method: 'POST',
      path: `${CLIENT}/backups`,
      right: 'add',
      summary: 'Begins a backup, as `tardis setup` has configured it.',
      reply: JobState,
    },
    async () => begun({ kind: 'backup' }),
  );
}

/** Returns the routes of what `tardis setup` has configured: they show and change it, and try its reports. */
function setupRoutes(commands: Commands, begun: Begun): AddedRoute[] {
  const inForce = async (history: History): Promise<SetupAnswers> =>
    commands.setup(await history.reports.settings()) ?? {};
  return [
    addedRoute(
      {
        method: 'GET',
        path: `${CLIENT}/setup`,
        right: 'admin',
        summary: 'Returns the answers of `tardis setup` that are in force.',
        reply: SetupBody,
      },
      ({ lease }) => inForce(lease.history),
    ),
    addedRoute(
      rowOf('setup', 'admin', 'Changes answers of `tardis setup`; the others stay.', SetupBody),
      async ({ body, lease }) => {
        const before: Record<string, string | undefined> = await inForce(lease.history);
        const answers = Object.entries(body).filter(([key, text]) => text !== before[key]);
        if (answers.length === 0) throw invalidRequest('no answer differs');
        const other = answers.find(([key]) => before[key] === undefined);
        if (other !== undefined) throw invalidRequest(`this page does not change ${other[0]}`);
        const undo = answers.map(([key]) => [key, before[key]!]);
        return begun(
          { kind: 'setup', answers: Object.fromEntries(answers) },
          { kind: 'setup', answers: Object.fromEntries(undo) },
        );
      },
    ),
    addedRoute(
      {
        method: 'POST',
        path: `${CLIENT}/test-reports`,
        right: 'admin',
        summary: 'Sends a report as a test, to whom a failed backup is reported.',
        reply: JobState,
      },
      async () => begun({ kind: 'test-report' }),
    ),
  ];
}

/** Returns a row for an act on a client. */
function rowOf<const P extends string, const R extends RightName, B>(
  path: P,
  right: R,
  summary: string,
  body: B,
) {
  return {
    method: 'POST',
    path: `${CLIENT}/${path}`,
    right,
    summary,
    body,
    reply: JobState,
  } as const;
}

function changeRoutes(begun: Begun): AddedRoute[] {
  return [
    addedRoute(
      rowOf('checks', 'read', 'Begins a check of the store.', CheckBody),
      async ({ body: { readsAll } }) => begun({ kind: 'check', readsAll }),
    ),
    addedRoute(
      rowOf(
        'locks',
        'purge',
        'Locks sets, so that nothing deletes them, or unlocks them.',
        LockBody,
      ),
      async ({ body: { sets, isLocked }, lease }) => {
        const found = await foundSets(lease.history, sets);
        const changed = found.filter((one) => one.marks.isLocked !== isLocked);
        return begun(
          { kind: 'lock', sets, isLocked },
          undoOf(changed, (numbers) => ({ kind: 'lock', sets: numbers, isLocked: !isLocked })),
        );
      },
    ),
    addedRoute(
      rowOf('tags', 'purge', 'Adds tags to sets, and removes others.', TagBody),
      async ({ body: { sets, addTags, removeTags }, lease }) => {
        if (addTags.length + removeTags.length === 0) throw invalidRequest('there is no tag');
        const found = await foundSets(lease.history, sets);
        // Only what each of the sets changes in the same way can be taken back by one command.
        const isWhole = found.every(
          ({ marks: { tags } }) =>
            addTags.every((tag) => !tags.includes(tag)) &&
            removeTags.every((tag) => tags.includes(tag)),
        );
        return begun(
          { kind: 'tag', sets, addTags, removeTags },
          undoOf(isWhole ? found : [], (numbers) => ({
            kind: 'tag',
            sets: numbers,
            addTags: removeTags,
            removeTags: addTags,
          })),
        );
      },
    ),
    addedRoute(
      rowOf('deletions', 'purge', 'Deletes sets for good.', DeletionBody),
      async ({ body: { sets }, lease }) => {
        await foundSets(lease.history, sets);
        return begun({ kind: 'delete', sets });
      },
    ),
    addedRoute(
      rowOf(
        'forgets',
        'purge',
        'Requests that paths be deleted from all sets. The request can be withdrawn for a week.',
        ForgetBody,
      ),
      async ({ body }) => {
        const paths = body.paths.map(encodedPathIn);
        if (paths.some((path) => !Buffer.from(path.toString()).equals(path))) {
          throw invalidRequest('a path that is not UTF-8 can be forgotten only by the command');
        }
        return begun({ kind: 'forget', paths });
      },
    ),
  ];
}

/** Returns sets by their numbers. Throws NO_SUCH_SET. */
async function foundSets(history: History, sets: readonly SetNumber[]): Promise<BackupSet[]> {
  const found: BackupSet[] = [];
  for (const set of sets) found.push(await setOf(history, String(set)));
  return found;
}

function undoOf(changed: readonly BackupSet[], undo: (sets: SetNumber[]) => Act): Act | undefined {
  return changed.length === 0 ? undefined : undo(changed.map(({ set }) => set));
}
