/** The routes of acts: a backup, a check, a mount, and changes of sets. Each begins a job. */
import type { TSchema } from 'typebox';
import type { BackupSet, History } from '../../history/index.js';
import type { RightName, SetNumber } from '../../model/index.js';
import {
  type AddedRoute,
  addedRoute,
  type ApiRequest,
  changedRules,
  checkedRules,
  encodedPathIn,
  get,
  invalidRequest,
  post,
  setOf,
} from '../api/index.js';
import { type Act, beginAct, type Offer } from './acts.js';
import type { Clients } from './clients.js';
import { JOB } from './job-routes.js';
import type { Jobs } from './jobs.js';
import {
  CheckBody,
  DeletionBody,
  ForgetBody,
  JobState,
  LockBody,
  MountBody,
  PurgeBody,
  type SetupAnswers,
  SetupBody,
  TagBody,
} from './schemas.js';

const CLIENT = '/clients/{client}';

interface Acting {
  readonly jobs: Jobs;
  readonly clients: Clients;
}

/** Returns the routes of acts. Each is refused for a client for which it is not offered. */
export function actRoutes(acting: Acting): AddedRoute[] {
  const { jobs, clients } = acting;
  const begun: Begun = ({ client }, act, undo) =>
    beginAct(jobs, clients.offering(client, offerOf(act)), act, undo).shown();
  return [
    backupRoute(begun),
    ...setupRoutes(clients, begun),
    ...changeRoutes(begun),
    purgeRoute(begun),
    mountRoute(begun),
    undoRoute(acting),
  ];
}

/** Returns the offer that an act needs. */
function offerOf({ kind }: Act): Offer {
  if (kind === 'purge' || kind === 'mount') return kind;
  return kind === 'backup' || kind === 'setup' || kind === 'test-report' ? 'backup' : 'change';
}

/** Begins an act on the client of a request. Throws NOT_PERMITTED if it is not offered. */
type Begun = (request: Pick<ApiRequest, 'client'>, act: Act, undo?: Act) => JobState;

function purgeRoute(begun: Begun): AddedRoute {
  return addedRoute(
    act('purges', 'purge', {
      summary: 'Deletes the sets that no rule keeps, and stores the rules.',
      body: PurgeBody,
    }),
    async (request) => {
      const { body, lease } = request;
      const rules = checkedRules(body.rules);
      const stores = body.saves ? changedRules(rules, await lease.history.reports.settings()) : [];
      return begun(request, { kind: 'purge', rules, stores: Object.fromEntries(stores) });
    },
  );
}

function mountRoute(begun: Begun): AddedRoute {
  return addedRoute(
    act('mounts', 'read', {
      summary:
        'Mounts the client at a directory of this machine, until the job is stopped or the program ends.',
      body: MountBody,
    }),
    async (request) => begun(request, { kind: 'mount', directory: request.body.directory }),
  );
}

function undoRoute({ jobs, clients }: Acting): AddedRoute {
  return addedRoute(
    post(`${JOB}/undo`, 'purge', {
      summary: 'Takes an act back, as far as its data allow: `canUndo` of the job.',
      reply: JobState,
    }),
    async ({ params }) => {
      const { id, undo, isRunning, facts } = jobs.find(params['id'] ?? '');
      if (undo === undefined || isRunning) throw invalidRequest('this job cannot be undone');
      const job = beginAct(jobs, clients.offering(facts.client, offerOf(undo)), undo);
      jobs.forget(id);
      return job.shown();
    },
  );
}

function backupRoute(begun: Begun): AddedRoute {
  return addedRoute(
    act('backups', 'add', { summary: 'Begins a backup, as `tardis setup` has configured it.' }),
    async (request) => begun(request, { kind: 'backup' }),
  );
}

/** Returns the routes of what `tardis setup` has configured: they show and change it, and try its reports. */
function setupRoutes(clients: Clients, begun: Begun): AddedRoute[] {
  const inForce = async (client: string, history: History): Promise<SetupAnswers> => {
    const { commands } = clients.offering(client, 'backup');
    return commands.setup(await history.reports.settings()) ?? {};
  };
  return [
    addedRoute(
      get(`${CLIENT}/setup`, 'admin', {
        summary: 'Returns the answers of `tardis setup` that are in force.',
        reply: SetupBody,
      }),
      ({ client, lease }) => inForce(client, lease.history),
    ),
    addedRoute(
      act('setup', 'admin', {
        summary: 'Changes answers of `tardis setup`; the others stay.',
        body: SetupBody,
      }),
      async (request) => {
        const { body, client, lease } = request;
        const before: Record<string, string | undefined> = await inForce(client, lease.history);
        const answers = Object.entries(body).filter(([key, text]) => text !== before[key]);
        if (answers.length === 0) throw invalidRequest('no answer differs');
        const other = answers.find(([key]) => before[key] === undefined);
        if (other !== undefined) throw invalidRequest(`this page does not change ${other[0]}`);
        const undo = answers.map(([key]) => [key, before[key]!]);
        return begun(
          request,
          { kind: 'setup', answers: Object.fromEntries(answers) },
          { kind: 'setup', answers: Object.fromEntries(undo) },
        );
      },
    ),
    addedRoute(
      act('test-reports', 'admin', {
        summary: 'Sends a report as a test, to whom a failed backup is reported.',
      }),
      async (request) => begun(request, { kind: 'test-report' }),
    ),
  ];
}

type ActRow<B> = { readonly summary: string; readonly body?: B };

/** Returns the row of an act on a client. */
function act<
  const P extends string,
  const R extends RightName,
  B extends TSchema | undefined = undefined,
>(path: P, right: R, { summary, body }: ActRow<B>) {
  return post(`${CLIENT}/${path}`, right, { summary, body: body as B, reply: JobState });
}

function changeRoutes(begun: Begun): AddedRoute[] {
  return [
    addedRoute(
      act('checks', 'read', { summary: 'Begins a check of the store.', body: CheckBody }),
      async (request) => begun(request, { kind: 'check', ...request.body }),
    ),
    addedRoute(
      act('locks', 'purge', {
        summary: 'Locks sets, so that nothing deletes them, or unlocks them.',
        body: LockBody,
      }),
      async (request) => {
        const { sets, isLocked } = request.body;
        const found = await foundSets(request.lease.history, sets);
        const changed = found.filter((one) => one.marks.isLocked !== isLocked);
        return begun(
          request,
          { kind: 'lock', sets, isLocked },
          undoOf(changed, (numbers) => ({ kind: 'lock', sets: numbers, isLocked: !isLocked })),
        );
      },
    ),
    tagRoute(begun),
    addedRoute(
      act('deletions', 'purge', { summary: 'Deletes sets for good.', body: DeletionBody }),
      async (request) => {
        const { sets } = request.body;
        await foundSets(request.lease.history, sets);
        return begun(request, { kind: 'delete', sets });
      },
    ),
    addedRoute(
      act('forgets', 'purge', {
        summary:
          'Requests that paths be deleted from all sets. The request can be withdrawn for a week.',
        body: ForgetBody,
      }),
      async (request) => {
        const paths = request.body.paths.map(encodedPathIn);
        if (paths.some((path) => !Buffer.from(path.toString()).equals(path))) {
          throw invalidRequest('a path that is not UTF-8 can be forgotten only by the command');
        }
        return begun(request, { kind: 'forget', paths });
      },
    ),
  ];
}

function tagRoute(begun: Begun): AddedRoute {
  return addedRoute(
    act('tags', 'purge', { summary: 'Adds tags to sets, and removes others.', body: TagBody }),
    async (request) => {
      const { sets, addTags, removeTags } = request.body;
      if (addTags.length + removeTags.length === 0) throw invalidRequest('there is no tag');
      const found = await foundSets(request.lease.history, sets);
      // Only what each of the sets changes in the same way can be taken back by one command.
      const isWhole = found.every(
        ({ marks: { tags } }) =>
          addTags.every((tag) => !tags.includes(tag)) &&
          removeTags.every((tag) => tags.includes(tag)),
      );
      return begun(
        request,
        { kind: 'tag', sets, addTags, removeTags },
        undoOf(isWhole ? found : [], (numbers) => ({
          kind: 'tag',
          sets: numbers,
          addTags: removeTags,
          removeTags: addTags,
        })),
      );
    },
  );
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
