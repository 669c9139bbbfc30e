/** The backup sets of a client for tools that change them: of a store on this machine, or through a server. */
import type { BackupSet, Verdicts } from '../archive/index.js';
import type { Found } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import {
  askToForget,
  changeSetting,
  dropSets,
  forgetRequestsOf,
  markSets,
  previewDrop,
  previewForget,
  previewPurgeOf,
  type PurgeWish,
  withdrawForget,
} from '../keeper/index.js';
import type { ForgetReport, ForgetRequest, SetChange } from '../model/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { openUnlocked } from './open-archive.js';
import { openServerSets, type ServerLoginSettings } from './server-login.js';
import { unlockClient } from './unlock.js';
import { clientPlace, storeLimits } from './local-store.js';

export type ClientSetsSettings = ServerLoginSettings &
  Parameters<typeof clientPlace>[0] & { readonly throughServer: string | undefined };

export interface ClientSets {
  /** Those that are listed, oldest first. */
  sets(): Promise<BackupSet[]>;
  /** Undefined: nothing is encrypted, or the keys are not here. */
  readonly keyring: Keyring | undefined;
  /** Throws NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED, CLIENT_BUSY; through a server NOT_PERMITTED too. */
  drop(sets: readonly number[]): Promise<void>;
  /** Throws what dropping them would throw now. */
  previewDrop(sets: readonly number[]): Promise<void>;
  /** By these rules, or through a server by its own. Throws CLIENT_BUSY; through a server NOT_PERMITTED too. */
  preview(wish: PurgeWish): Promise<Verdicts>;
  /** Drops what a preview has told; a server decides once more. */
  purge(gone: readonly number[]): Promise<Verdicts | undefined>;
  /** A title is given as it is to be read. Throws NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY; NOT_PERMITTED. */
  mark(sets: readonly number[], wish: SetChange): Promise<void>;
  /** What there is to be forgotten; its paths as they are to be read. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /** What would go with these paths, were it now. Throws CLIENT_BUSY; NOT_PERMITTED. */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /** Throws CLIENT_BUSY; NOT_PERMITTED. */
  askToForget(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Throws NO_SUCH_REQUEST, CLIENT_BUSY; NOT_PERMITTED. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /** `value` undefined: it is not set any more. Throws CONFIG_INVALID, CLIENT_BUSY; NOT_PERMITTED. */
  changeSetting(key: string, value: string | undefined): Promise<void>;
  close(): void;
}

/** Throws what opening a store, or logging in to a server, throws. */
export function openClientSets(
  system: System,
  settings: ClientSetsSettings,
  found: ReadonlyMap<string, Found>,
): Promise<ClientSets> {
  const { throughServer: host } = settings;
  return host === undefined
    ? openHere(system, settings, found)
    : openThere(system, host, settings, found);
}

async function openHere(
  system: System,
  settings: ClientSetsSettings,
  found: ReadonlyMap<string, Found>,
): Promise<ClientSets> {
  const place = clientPlace(settings);
  const directory = openClientDirectory(system, place);
  const keyring = await unlockClient(system, settings, found);
  return {
    sets: async () => {
      const archive = openUnlocked(system, place, keyring);
      try {
        return await archive.sets();
      } finally {
        archive.close(); // who reads the catalog keeps us from writing it
      }
    },
    keyring,
    drop: (sets) => dropSets(system, directory, storeLimits(), sets, 0),
    previewDrop: async (sets) => previewDrop(system, directory, sets, 0),
    preview: async ({ rules, ...wish }) => {
      const seal = (tag: string): string => keyring?.names.text(tag) ?? tag;
      const sealedRules = { ...rules, keepTags: rules.keepTags.map(seal) };
      return previewPurgeOf(system, directory, () => ({ ...wish, rules: sealedRules }));
    },
    purge: async (gone) => {
      await dropSets(system, directory, storeLimits(), gone, 0);
      return undefined;
    },
    mark: (sets, wish) => markSets(system, directory, storeLimits(), sets, sealed(wish, keyring)),
    changeSetting: (key, value) => changeSetting(system, directory, storeLimits(), key, value),
    forgets: async () => readable(forgetRequestsOf(system, directory), keyring),
    previewForget: async (paths) => previewForget(system, directory, sealedPaths(paths, keyring)),
    askToForget: async (paths, undoMs) => {
      const asked = sealedPaths(paths, keyring);
      return readable(await askToForget(system, directory, storeLimits(), asked, undoMs), keyring);
    },
    withdrawForget: (ids) => withdrawForget(system, directory, storeLimits(), ids),
    close: () => undefined,
  };
}

async function openThere(
  system: System,
  host: string,
  settings: ClientSetsSettings,
  found: ReadonlyMap<string, Found>,
): Promise<ClientSets> {
  const there = await openServerSets(system, host, settings, found);
  return {
    sets: () => there.archive.sets(),
    keyring: there.keyring,
    drop: (sets) => there.drop(sets, false),
    previewDrop: (sets) => there.drop(sets, true),
    preview: () => there.purge(true),
    purge: () => there.purge(false),
    mark: (sets, wish) => there.mark(sets, sealed(wish, there.keyring)),
    changeSetting: (key, value) => there.changeSetting(key, value),
    forgets: async () => readable(await there.forgets(), there.keyring),
    previewForget: (paths) => there.previewForget(sealedPaths(paths, there.keyring)),
    askToForget: async (paths, undoMs) => {
      const asked = sealedPaths(paths, there.keyring);
      return readable(await there.askToForget(asked, undoMs), there.keyring);
    },
    withdrawForget: (ids) => there.withdrawForget(ids),
    close: () => there.archive.close(),
  };
}

/** Paths as the store has them. */
function sealedPaths(paths: readonly Buffer[], keyring: Keyring | undefined): readonly Buffer[] {
  return paths.map((path) => keyring?.names.path(path) ?? path);
}

function readable(
  requests: readonly ForgetRequest[],
  keyring: Keyring | undefined,
): readonly ForgetRequest[] {
  if (keyring === undefined) return requests;
  return requests.map((request) => ({ ...request, path: keyring.names.openPath(request.path) }));
}

/** Names and tags of sets are secret where names are. */
function sealed(wish: SetChange, keyring: Keyring | undefined): SetChange {
  if (keyring === undefined) return wish;
  const { title, addTags, removeTags } = wish;
  const seal = (text: string): string => keyring.names.text(text);
  return {
    ...wish,
    title: title && seal(title),
    addTags: addTags?.map(seal),
    removeTags: removeTags?.map(seal),
  };
}
