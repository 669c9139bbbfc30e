/** The backup sets of a client at a server, for who has the right to change them. */
import {
  type Archive,
  forgetReportFromWire,
  forgetsFromWire,
  setChangeToWire,
  type Verdicts,
  verdictsFromWire,
} from '../archive/index.js';
import type { Keyring } from '../crypto/index.js';
import type { ForgetReport, ForgetRequest, SetChange } from '../model/index.js';
import type { System } from '../system/index.js';
import type { Finding, ReadRequest } from '../verify/index.js';
import { archiveOf } from './remote-archive.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';
import type { RemoteCheck, RemoteFreed, WorkHooks } from './remote-work.js';

export interface RemoteSets {
  /** Closing it ends the session. */
  readonly archive: Archive;
  readonly keyring: Keyring | undefined;
  /** Throws NOT_PERMITTED, NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED, CLIENT_BUSY, CONNECTION_LOST. */
  drop(sets: readonly number[], preview: boolean): Promise<void>;
  /** By the server's rules, or only what would go by them. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST. */
  purge(isPreview: boolean): Promise<Verdicts>;
  /** A title is given as it is to be stored. Throws NOT_PERMITTED, NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY, CONNECTION_LOST. */
  mark(sets: readonly number[], wish: SetChange): Promise<void>;
  /** The server checks the store. Throws NOT_PERMITTED, CONNECTION_LOST, INTERRUPTED. */
  check(
    wish: { readonly read: ReadRequest; readonly mark: boolean },
    hooks: WorkHooks & { readonly onFinding: (finding: Finding) => void },
  ): Promise<RemoteCheck>;
  /** The server frees what nothing needs. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST, INTERRUPTED. */
  free(hooks: WorkHooks): Promise<RemoteFreed>;
  /** What there is to be forgotten. Throws NOT_PERMITTED, CONNECTION_LOST. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /** What would go with these paths, as they are stored. Throws NOT_PERMITTED, CONNECTION_LOST. */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /** The server may make the time longer. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST. */
  askToForget(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Throws NOT_PERMITTED, NO_SUCH_REQUEST, CLIENT_BUSY, CONNECTION_LOST. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /** `value` undefined: it is not set any more. Throws NOT_PERMITTED, CONFIG_INVALID, CLIENT_BUSY, CONNECTION_LOST. */
  changeSetting(key: string, value: string | undefined): Promise<void>;
}

/** Throws LOGIN_FAILED, NO_SUCH_CLIENT, SERVER_UNREACHABLE, … */
export async function openRemoteSets(system: System, place: RemotePlace): Promise<RemoteSets> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  return {
    archive: archiveOf(system, place.client, peer, keyring),
    keyring,
    drop: async (sets, preview) => {
      await peer.ask('dropSets', 'setsDropped', { sets: [...sets], preview });
    },
    purge: async (preview) => {
      const { head } = await peer.ask(preview ? 'previewPurge' : 'purgeSets', 'setsPurged', {});
      return verdictsFromWire(head);
    },
    mark: async (sets, wish) => {
      await peer.ask('markSets', 'setsMarked', { sets: [...sets], ...setChangeToWire(wish) });
    },
    // What a check knows of its findings is for who asks for one.
    check: async (wish, hooks) => (await import('./remote-work.js')).checkThere(peer, wish, hooks),
    free: async (hooks) => (await import('./remote-work.js')).freeThere(peer, hooks),
    forgets: async () => {
      const { head } = await peer.ask('readForgets', 'forgetsAre', {});
      return forgetsFromWire(head);
    },
    previewForget: async (paths) => {
      const wish = { paths: [...paths], undoMs: 0, preview: true };
      const { head } = await peer.ask('forgetPaths', 'forgetsAre', wish);
      return forgetReportFromWire(head);
    },
    askToForget: async (paths, undoMs) => {
      const wish = { paths: [...paths], undoMs, preview: false };
      const { head } = await peer.ask('forgetPaths', 'forgetsAre', wish);
      return forgetsFromWire(head);
    },
    withdrawForget: async (ids) => {
      await peer.ask('withdrawForgets', 'forgetsAre', { ids: [...ids] });
    },
    changeSetting: async (key, value) => {
      const change = { key, value: value ?? '', isSet: value !== undefined };
      await peer.ask('changeSetting', 'settingChanged', change);
    },
  };
}
