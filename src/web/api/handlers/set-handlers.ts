/** Handlers of questions about clients and sets. */
import { placedNotes, stateOf } from '../../../history/index.js';
import { programVersion } from '../../../system/index.js';
import { isErrorNote, shownRoots } from '../../../model/index.js';
import { requireRight } from '../door.js';
import type { Client } from '../schemas.js';
import type { Handlers } from '../register.js';
import { pathJson, setJson } from '../entry-json.js';
import { setOf } from '../set-of.js';

/** State of a client about which nothing is known until it is opened. */
const CLOSED = {
  state: 'unknown',
  cause: { code: 'closed' },
  reason: 'The client is not open.',
  advice: 'Open it to see its state.',
} as const;

/** Maximum number of notes that are listed. */
const MAX_NOTES = 1000;

export const SET_HANDLERS: Pick<
  Handlers,
  'health' | 'session' | 'clients' | 'sets' | 'set' | 'roots' | 'notes'
> = {
  health: async () => ({ status: 'ok', version: programVersion() }),
  session: async ({ door, visitor, query }) => {
    requireRight(visitor, 'login', query.client);
    const { client, account, rights } = visitor;
    return {
      program: door.program,
      client,
      ...door.about?.(query.client),
      ...(account === '' ? {} : { account }),
      canRestore: door.program === 'tardis-web',
      rights: [...rights],
    };
  },
  clients: async ({ door, visitor }) => {
    const found = await door.clients(visitor);
    const { lateAfterMs = 0, system } = door;
    const facts = { nowMs: system.clock.nowMs(), lateAfterMs };
    return found.map((one): Client => {
      const { client, completeSets, newestSet, newestAtMs, protection, fault, place } = one;
      const { quotaBytes, accountBytes, usedBytes, seenAtMs, isClosed = false } = one;
      const isKnown = fault === '' ? !isClosed : seenAtMs !== undefined;
      return {
        name: client,
        place,
        ...(isKnown && { completeSets }),
        ...(newestSet === 0 ? {} : { lastSet: newestSet, lastCompletedMs: newestAtMs }),
        ...(isClosed ? CLOSED : stateOf(one, facts)),
        lateAfterMs: lateAfterMs > 0 ? lateAfterMs : one.lateAfterMs,
        encrypts: protection === 'encrypted',
        ...(one.requestedAtMs === 0 ? {} : { requestedAtMs: one.requestedAtMs }),
        ...(one.requestedBy === '' ? {} : { requestedBy: one.requestedBy }),
        ...(one.quotaBytes === 0 ? {} : { space: { quotaBytes, accountBytes, usedBytes } }),
        ...(fault === '' ? {} : { fault, seenAtMs }),
      };
    });
  },
  sets: async ({ lease: { history } }) => ({
    sets: (await history.sets()).toReversed().map(setJson),
  }),
  set: async ({ lease: { history }, setText }) => setJson(await setOf(history, setText)),
  notes: async ({ lease: { history }, setText }) => {
    const { set } = await setOf(history, setText);
    const notes = (await placedNotes(history, set)).filter(({ what }) => isErrorNote(what));
    const shown = notes.slice(0, MAX_NOTES);
    return {
      notes: shown.map(({ path, what, reason }) => ({ ...pathJson(path), what, reason })),
      total: notes.length,
    };
  },
  roots: async ({ lease: { history }, setText }) => {
    const { set } = await setOf(history, setText);
    const roots = await history.roots(set);
    return { roots: shownRoots(roots.map(({ path }) => path)).map(pathJson) };
  },
};
