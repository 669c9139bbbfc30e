/** Rows of the message table for reports on a client's history, and for settings stored with a client. */
import { CLIENT_CONFIG } from './client-config.js';
import { answers, KIB, listOf, mapOf, maybe, MIB, requests, words } from './message-row.js';

/** Maximum number of directories whose paths one question may request. */
export const MAX_DIRECTORY_PATHS = 4096;

/** The place of an entry, after which a page continues; the directory -1 is before all others. */
const PLACE = mapOf({ directory: 'int', name: 'bytes' });

/** By what directories are sorted, the largest first: what came since counts as `newBytes`, less what went as `growth`. */
export const SIZE_ORDERS = ['bytes', 'newBytes', 'growth'] as const;

/** Sums over the files of a directory and of all below it. A file with several names counts at each. */
const SUMS = {
  files: 'uint',
  bytes: 'uint',
  /** Bytes of the files that are new or changed since an earlier set. */
  newBytes: 'uint',
  /** Bytes of the files that were below the directory in the earlier set. */
  earlierBytes: 'uint',
} as const;

export const REPORT_MESSAGES = {
  /** Requests the roots of all sets from set `from` on. */
  readSetRoots: requests.list(144, KIB, 'setRootsAre', { from: 'uint' }),
  setRootsAre: answers(145, 16 * MIB, {
    /** The distinct paths of the roots. */
    paths: 'byteses',
    /** For each root of each set: the number of the set, and in `roots` the index of its path. */
    sets: 'uints',
    roots: 'uints',
    more: 'bool',
  }),
  /** Requests the differences between a set and an earlier set `before`, in both directions. Starts after a place. */
  readChanges: requests.list(146, 8 * KIB, 'changesAre', {
    before: 'uint',
    set: 'uint',
    after: PLACE,
    limit: 'uint',
  }),
  changesAre: answers(147, 16 * MIB, {
    rows: 'bytes',
    numbers: 'uints',
    /** The place from which to request the next page, if there is more. */
    next: maybe(PLACE),
  }),
  /**
   * Requests all versions of names that contain the bytes `literal`. Starts after a place. The lists of the answer are
   * parallel.
   */
  readNamed: requests.list(162, 16 * KIB, 'namesAre', { after: PLACE, literal: 'bytes' }),
  namesAre: answers(163, 16 * MIB, {
    directories: 'uints',
    names: 'byteses',
    firstSets: 'uints',
    /** Last set of each version; 0 if the version is still current. */
    lastSets: 'uints',
    next: maybe(PLACE),
  }),
  readDirectoryPaths: requests.list(148, 64 * KIB, 'directoryPathsAre', {
    set: 'uint',
    directories: 'uints',
  }),
  /**
   * Paths of the requested directories, from the first one on: as many as fit, at least one. An empty path means that
   * the set has no such directory.
   */
  directoryPathsAre: answers(149, 16 * MIB, { paths: 'byteses' }),
  readSettings: requests.list(150, KIB, 'settingsAre', {}),
  settingsAre: answers(151, 256 * KIB, { settings: listOf(mapOf({ key: 'text', value: 'text' })) }),
  /** Stores a setting with the client, or removes it if there is no value. */
  changeSetting: requests.admin(152, 8 * KIB, 'settingChanged', {
    key: 'text',
    value: maybe('text'),
  }),
  settingChanged: answers(153, KIB, {}),
  readConfiguration: requests.list(154, KIB, 'configurationIs', { set: 'uint' }),
  /** The configuration of the run that made a set; without `config` if the client sent none. */
  configurationIs: answers(155, 128 * KIB, { config: maybe(CLIENT_CONFIG) }),
  /** Requests an overview of the clients owned by the account that owns this client. */
  readClients: requests.admin(160, KIB, 'clientsAre', {}),
  /** Requests the row of this client in that overview. */
  readOwnState: requests.list(184, KIB, 'clientsAre', {}),
  /** The facts about each client, as JSON (docs/inside/protocol.md). */
  clientsAre: answers(161, 16 * MIB, { clients: 'texts' }),
  /** Adds records of runs of this client to its journal, each one line of JSON. */
  noteRuns: requests.read(188, 2 * MIB, 'runsNoted', { runs: 'texts' }),
  runsNoted: answers(189, KIB, {}),
  /** Requests the newest records of the journal, at least `most` if there are so many. */
  readRuns: requests.list(190, KIB, 'runsAre', { most: 'uint' }),
  runsAre: answers(191, 16 * MIB, { runs: 'texts' }),
  /** Requests the state of the store: the catalog that is read, and the free space of its file system. */
  readStore: requests.list(164, KIB, 'storeIs', {}),
  storeIs: answers(165, 8 * KIB, {
    /** Identifies the catalog. Numbers of directories and contents may differ in another catalog. */
    catalog: 'line',
    /** True if another catalog has replaced this one since it was opened, because of a rebuild or new keys. */
    isReplaced: 'bool',
    space: mapOf({
      blockBytes: 'uint',
      blocks: 'uint',
      freeBlocks: 'uint',
      /** Free blocks that users other than root may use. */
      availableBlocks: 'uint',
    }),
  }),
  /**
   * Requests the sizes of a directory (0: of all roots) as of a set, and those of the directories in it: at most `limit`, the
   * largest first. New bytes came since the earlier set `before`.
   */
  readSizes: requests.list(186, KIB, 'sizesAre', {
    before: 'uint',
    set: 'uint',
    directory: 'uint',
    by: words(...SIZE_ORDERS),
    limit: 'uint',
  }),
  sizesAre: answers(187, MIB, {
    /** False if the reader may not see every entry; then there are no sizes. */
    isCounted: 'bool',
    /** Sums of the directory itself; missing if the set does not have it. */
    sums: maybe(mapOf(SUMS)),
    below: listOf(mapOf({ directory: 'uint', ...SUMS })),
    /** Number of the directories that are left out. */
    more: 'uint',
  }),
  readFigures: requests.list(156, KIB, 'figuresAre', {}),
  figuresAre: answers(157, 64 * KIB, {
    /** Counts and bytes by name. */
    numbers: 'figures',
    /** The directories with the most bytes in versions of files that are not the newest, largest first. */
    busiest: listOf(mapOf({ directory: 'uint', versions: 'uint', bytes: 'uint' })),
  }),
};
