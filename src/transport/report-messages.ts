/** Rows of the message table for reports on a client's history, and for settings stored with a client. */
import { CLIENT_CONFIG } from './client-config.js';
import { answers, requests, KIB, maybe, MIB } from './message-row.js';

/** Maximum number of directories whose paths one question may request. */
export const MAX_DIRECTORY_PATHS = 4096;

export const REPORT_MESSAGES = {
  /** Requests the roots of all sets from set `from` on. */
  readSetRoots: requests(144, KIB, { from: 'uint' }, { right: 'list', answer: 'setRootsAre' }),
  setRootsAre: answers(145, 16 * MIB, {
    /** The distinct paths of the roots. */
    paths: 'byteses',
    /** For each root of each set: the number of the set, and in `roots` the index of its path. */
    sets: 'uints',
    roots: 'uints',
    more: 'bool',
  }),
  /**
   * Requests the differences between a set and an earlier set `before`, in both directions. Starts after `name` in
   * `directory` (-1: at the beginning).
   */
  readChanges: requests(
    146,
    8 * KIB,
    { before: 'uint', set: 'uint', directory: 'int', name: 'bytes', limit: 'uint' },
    { right: 'list', answer: 'changesAre' },
  ),
  changesAre: answers(147, 16 * MIB, {
    rows: 'bytes',
    numbers: 'uints',
    spans: 'uints',
    more: 'bool',
    /** The place from which to request the next page, if there is more. */
    directory: 'int',
    name: 'bytes',
  }),
  /**
   * Requests all versions of names that contain the bytes `literal`. Starts after `name` in `directory` (-1: at the
   * beginning). The lists of the answer are parallel.
   */
  readNamed: requests(
    162,
    16 * KIB,
    { directory: 'int', name: 'bytes', literal: 'bytes' },
    { right: 'list', answer: 'namesAre' },
  ),
  namesAre: answers(163, 16 * MIB, {
    directories: 'uints',
    names: 'byteses',
    firstSets: 'uints',
    /** Last set of each version; 0 if the version is still current. */
    lastSets: 'uints',
    more: 'bool',
    directory: 'int',
    name: 'bytes',
  }),
  readDirectoryPaths: requests(
    148,
    64 * KIB,
    { set: 'uint', directories: 'uints' },
    { right: 'list', answer: 'directoryPathsAre' },
  ),
  /**
   * Paths of the requested directories, from the first one on: as many as fit, at least one. An empty path means that
   * the set has no such directory.
   */
  directoryPathsAre: answers(149, 16 * MIB, { paths: 'byteses' }),
  readSettings: requests(150, KIB, {}, { right: 'list', answer: 'settingsAre' }),
  settingsAre: answers(151, 256 * KIB, { keys: 'texts', values: 'texts' }),
  /** Stores a setting with the client, or removes it if `isSet` is false. */
  changeSetting: requests(
    152,
    8 * KIB,
    { key: 'text', value: 'text', isSet: 'bool' },
    { right: 'admin', answer: 'settingChanged' },
  ),
  settingChanged: answers(153, KIB, {}),
  readConfiguration: requests(
    154,
    KIB,
    { set: 'uint' },
    { right: 'list', answer: 'configurationIs' },
  ),
  /** The configuration of the run that made a set; without `config` if the client sent none. */
  configurationIs: answers(155, 128 * KIB, { config: maybe(CLIENT_CONFIG) }),
  /** Requests an overview of the clients owned by the account that owns this client. */
  readClients: requests(160, KIB, {}, { right: 'admin', answer: 'clientsAre' }),
  /** Requests the row of this client in that overview. */
  readOwnState: requests(184, KIB, {}, { right: 'list', answer: 'clientsAre' }),
  /** The facts about each client, as JSON (docs/inside/protocol.md). */
  clientsAre: answers(161, 16 * MIB, { clients: 'texts' }),
  /** Adds records of runs of this client to its journal, each one line of JSON. */
  noteRuns: requests(188, 2 * MIB, { runs: 'texts' }, { right: 'read', answer: 'runsNoted' }),
  runsNoted: answers(189, KIB, {}),
  /** Requests the newest records of the journal, at least `most` if there are so many. */
  readRuns: requests(190, KIB, { most: 'uint' }, { right: 'list', answer: 'runsAre' }),
  runsAre: answers(191, 16 * MIB, { runs: 'texts' }),
  /** Requests the state of the store: the catalog that is read, and the free space of its file system. */
  readStore: requests(164, KIB, {}, { right: 'list', answer: 'storeIs' }),
  storeIs: answers(165, 8 * KIB, {
    catalog: 'line',
    replaced: 'bool',
    blockBytes: 'uint',
    blocks: 'uint',
    freeBlocks: 'uint',
    availableBlocks: 'uint',
  }),
  /**
   * Requests the sizes of a directory (0: of all roots) as of a set, and those of the directories in it: at most `limit`, the
   * largest first by bytes (0), by new bytes since the earlier set `before` (1), or by growth (2).
   */
  readSizes: requests(
    186,
    KIB,
    { before: 'uint', set: 'uint', directory: 'uint', by: 'uint', limit: 'uint' },
    { right: 'list', answer: 'sizesAre' },
  ),
  /** Four numbers for each directory: files, bytes, new bytes, earlier bytes. */
  sizesAre: answers(187, MIB, {
    counted: 'bool',
    /** Numbers of the directory itself; empty if the set does not have it. */
    sums: 'uints',
    directories: 'uints',
    numbers: 'uints',
    more: 'uint',
  }),
  readFigures: requests(156, KIB, {}, { right: 'list', answer: 'figuresAre' }),
  figuresAre: answers(157, 64 * KIB, {
    /** Counts and bytes by name. */
    numbers: 'counts',
    /**
     * Three integers for each directory with the most bytes of older versions: its id, the number of older
     * versions, and their bytes.
     */
    busiest: 'uints',
  }),
};
