/** The backup sets of a client on a server, for accounts with the right to change them. */
import { type History, odd, type Verdicts } from '../index.js';
import type { Keyring } from '../../crypto/index.js';
import type { ForgetReport, ForgetRequest, SetChange } from '../../model/index.js';
import type { System } from '../../system/index.js';
import type { Finding, ReadRequest } from '../../maintenance/check/index.js';
import { historyOf } from './remote-history.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';
import type { RemoteCheck, RemoteFreed, WorkHooks } from './remote-work.js';

export interface RemoteSets {
  /** Closing the history ends the session. */
  readonly history: History;
  readonly keyring: Keyring | undefined;
  /**
   * Deletes sets; with `preview`, only checks whether it would. Throws NOT_PERMITTED, NO_SUCH_SET, SET_IS_NEWEST,
   * SET_LOCKED, CLIENT_BUSY, CONNECTION_LOST.
   */
  drop(sets: readonly number[], preview: boolean): Promise<void>;
  /**
   * Purges sets by the server's rules; with `isPreview`, only returns the verdicts. Throws NOT_PERMITTED,
   * CLIENT_BUSY, CONNECTION_LOST.
   */
  purge(isPreview: boolean): Promise<Verdicts>;
  /**
   * Changes the marks of sets. A title must be given as it is to be stored. Throws NOT_PERMITTED, NO_SUCH_SET,
   * MARKS_INVALID, CLIENT_BUSY, CONNECTION_LOST.
   */
  mark(sets: readonly number[], wish: SetChange): Promise<void>;
  /** Checks the store on the server. Throws NOT_PERMITTED, CONNECTION_LOST, INTERRUPTED. */
  check(
    wish: { readonly read: ReadRequest; readonly mark: boolean },
    hooks: WorkHooks & { readonly onFinding: (finding: Finding) => void },
  ): Promise<RemoteCheck>;
  /** Runs garbage collection on the server. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST, INTERRUPTED. */
  free(hooks: WorkHooks): Promise<RemoteFreed>;
  /** Returns the pending requests to forget paths. Throws NOT_PERMITTED, CONNECTION_LOST. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /**
   * Returns a report of what would be forgotten with these paths, given as stored. Throws NOT_PERMITTED,
   * CONNECTION_LOST.
   */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /**
   * Requests that paths are forgotten after `undoMs`, which the server may lengthen. Throws NOT_PERMITTED,
   * CLIENT_BUSY, CONNECTION_LOST.
   */
  askToForget(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Withdraws requests to forget paths. Throws NOT_PERMITTED, NO_SUCH_REQUEST, CLIENT_BUSY, CONNECTION_LOST. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /**
   * Changes a setting that is stored with the client; without a value, removes it. Throws NOT_PERMITTED,
   * CONFIG_INVALID, CLIENT_BUSY, CONNECTION_LOST.
   */
  changeSetting(key: string, value: string | undefined): Promise<void>;
}

/** Logs in and opens the sets of a client. Throws LOGIN_FAILED, NO_SUCH_CLIENT, SERVER_UNREACHABLE, … */
export async function openRemoteSets(system: System, place: RemotePlace): Promise<RemoteSets> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  return {
    history: historyOf(system, place.client, peer, keyring),
    keyring,
    drop: (sets, preview) => peer.ask('dropSets', { sets: [...sets], preview }),
    purge: (preview) => peer.ask(preview ? 'previewPurge' : 'purgeSets', undefined),
    mark: (sets, change) => peer.ask('markSets', { sets, change }),
    // The code that follows a job is loaded only if one is requested.
    check: async (wish, hooks) => (await import('./remote-work.js')).checkThere(peer, wish, hooks),
    free: async (hooks) => (await import('./remote-work.js')).freeThere(peer, hooks),
    forgets: async () => (await peer.ask('readForgets', undefined)).requests,
    previewForget: async (paths) => {
      const wish = { paths: [...paths], undoMs: 0, preview: true };
      const { report } = await peer.ask('forgetPaths', wish);
      if (report === undefined) throw odd('figures');
      return report;
    },
    askToForget: async (paths, undoMs) => {
      const wish = { paths: [...paths], undoMs, preview: false };
      return (await peer.ask('forgetPaths', wish)).requests;
    },
    withdrawForget: async (ids) => {
      await peer.ask('withdrawForgets', { ids: [...ids] });
    },
    changeSetting: (key, value) => peer.ask('changeSetting', { key, value }),
  };
}
