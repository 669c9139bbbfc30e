/** Rows of the message table for reports on a client's history, and for settings stored with a client. */
import { KIB, MIB, toClient, toServer } from './message-row.js';

/** Most directories whose paths one question may request. */
export const MAX_DIRECTORY_PATHS = 4096;

export const REPORT_MESSAGES = {
  /** Requests the roots of all sets from set `from` on. */
  readSetRoots: toServer(144, 'list', KIB, { question: 'uint', from: 'uint' }),
  setRootsAre: toClient(145, 16 * MIB, {
    question: 'uint',
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
  readChanges: toServer(146, 'list', 8 * KIB, {
    question: 'uint',
    before: 'uint',
    set: 'uint',
    directory: 'int',
    name: 'bytes',
    limit: 'uint',
  }),
  changesAre: toClient(147, 16 * MIB, {
    question: 'uint',
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
  readNamed: toServer(162, 'list', 16 * KIB, {
    question: 'uint',
    directory: 'int',
    name: 'bytes',
    literal: 'bytes',
  }),
  namesAre: toClient(163, 16 * MIB, {
    question: 'uint',
    directories: 'uints',
    names: 'byteses',
    firstSets: 'uints',
    /** 0 if the version is still current. */
    lastSets: 'uints',
    more: 'bool',
    directory: 'int',
    name: 'bytes',
  }),
  readDirectoryPaths: toServer(148, 'list', 64 * KIB, {
    question: 'uint',
    set: 'uint',
    directories: 'uints',
  }),
  /**
   * Paths of the first requested directories, of at least one. An empty path means that the set has no such
   * directory.
   */
  directoryPathsAre: toClient(149, 16 * MIB, { question: 'uint', paths: 'byteses' }),
  readSettings: toServer(150, 'list', KIB, { question: 'uint' }),
  settingsAre: toClient(151, 256 * KIB, { question: 'uint', keys: 'texts', values: 'texts' }),
  /** With `isSet` false, removes the setting. */
  changeSetting: toServer(152, 'admin', 8 * KIB, {
    question: 'uint',
    key: 'text',
    value: 'text',
    isSet: 'bool',
  }),
  settingChanged: toClient(153, KIB, { question: 'uint' }),
  readConfiguration: toServer(154, 'list', KIB, { question: 'uint', set: 'uint' }),
  /** Empty if the client of the set sent no configuration. */
  configurationIs: toClient(155, 128 * KIB, { question: 'uint', config: 'text' }),
  /** Requests an overview of the clients owned by the account that owns this client. */
  readClients: toServer(160, 'admin', KIB, { question: 'uint' }),
  /** The lists are parallel: items with the same index belong to one client. */
  clientsAre: toClient(161, 256 * KIB, {
    question: 'uint',
    clients: 'texts',
    sets: 'uints',
    newest: 'uints',
    newestAt: 'ints',
    protections: 'bytes',
    overdue: 'bytes',
    faults: 'texts',
  }),
  readFigures: toServer(156, 'list', KIB, { question: 'uint' }),
  figuresAre: toClient(157, 64 * KIB, {
    question: 'uint',
    /** Counts and bytes by name. */
    numbers: 'counts',
    /**
     * Three integers for each directory with the most bytes of older versions: its id, the number of older
     * versions, and their bytes.
     */
    busiest: 'uints',
  }),
};
