/** The backup sets of a client, for tools that change them: in a store on this machine, or through a server. */
import type { BackupSet, Verdicts } from '../../history/index.js';
import { Catalog } from '../../store/catalog/index.js';
import type { Found } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import {
  askToForget,
  changeSetting,
  dropSets,
  forgetRequestsOf,
  markSets,
  ownRulesFor,
  previewDrop,
  previewForget,
  withdrawForget,
} from '../../store/writer/index.js';
import { previewPurgeOf, type PurgeWish } from '../../maintenance/gc/index.js';
import type { ForgetReport, ForgetRequest, SetChange } from '../../model/index.js';
import type { RetentionRules, RuleWords } from '../../retention/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { trustOlder } from '../shared/identity.js';
import { openUnlocked } from '../shared/open-history.js';
import { openServerSets, type ServerLoginSettings } from '../shared/server-login.js';
import { unlockClient } from '../shared/unlock.js';
import { clientPlace, storeLimits } from '../shared/local-store.js';

export type ClientSetsSettings = ServerLoginSettings &
  Parameters<typeof clientPlace>[0] & { readonly throughServer: string | undefined };

export interface ClientSets {
  /** Returns the listed sets, oldest first. */
  sets(): Promise<BackupSet[]>;
  /** Undefined if nothing is encrypted, or if the keys are not available here. */
  readonly keyring: Keyring | undefined;
  /** Deletes sets. Throws NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED, CLIENT_BUSY; through a server also NOT_PERMITTED. */
  drop(sets: readonly number[]): Promise<void>;
  /** Throws the errors that deleting these sets would throw now. */
  previewDrop(sets: readonly number[]): Promise<void>;
  /**
   * Returns the sets that a purge would delete or keep: by these rules, or through a server by the server's rules.
   * Throws CLIENT_BUSY; through a server also NOT_PERMITTED.
   */
  preview(wish: PurgeWish): Promise<Verdicts>;
  /**
   * Returns the retention rules stored with the client; `words` supply the priorities and all rules that are not
   * stored. Undefined if none are stored, or if a server applies them.
   */
  keptRules(words: RuleWords): RetentionRules | undefined;
  /** Deletes the sets that a preview listed. A server decides again, and returns its result. */
  purge(gone: readonly number[]): Promise<Verdicts | undefined>;
  /**
   * Changes marks of sets. A title is given in plain text. Throws NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY;
   * NOT_PERMITTED.
   */
  mark(sets: readonly number[], wish: SetChange): Promise<void>;
  /** Returns the pending requests to forget paths, with the paths in plain text. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /** Returns the data that would be deleted if these paths were forgotten now. Throws CLIENT_BUSY; NOT_PERMITTED. */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /** Requests that paths be forgotten after `undoMs`, and returns the requests. Throws CLIENT_BUSY; NOT_PERMITTED. */
  askToForget(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Withdraws requests to forget paths. Throws NO_SUCH_REQUEST, CLIENT_BUSY; NOT_PERMITTED. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /**
   * Changes a setting stored with the client; `value` undefined removes it. Throws CONFIG_INVALID, CLIENT_BUSY;
   * NOT_PERMITTED.
   */
  changeSetting(key: string, value: string | undefined): Promise<void>;
  close(): void;
}

/** Opens the sets of a client. Throws the errors of opening a store, or of logging in to a server. */
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
      const history = openUnlocked(system, place, keyring);
      trustOlder(history, settings);
      try {
        return await history.sets();
      } finally {
        history.close(); // a reader of the catalog would block our writes
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
    keptRules: (words) =>
      Catalog.reading(system, directory.catalogPath, (catalog) => ownRulesFor(catalog, words)),
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
    sets: () => there.history.sets(),
    keyring: there.keyring,
    drop: (sets) => there.drop(sets, false),
    previewDrop: (sets) => there.drop(sets, true),
    preview: () => there.purge(true),
    keptRules: () => undefined,
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
    close: () => there.history.close(),
  };
}

/** Returns the paths in the form that the store has. */
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

/** Seals the title and the tags of a set if the client encrypts names. */
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
