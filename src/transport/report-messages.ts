/** The rows of the message table for reports on a client's history, and for settings that are kept with it. */
import { KIB, MIB, toClient, toServer } from './message-row.js';

/** Directories whose paths are asked for at once. */
export const MAX_DIRECTORY_PATHS = 4096;

export const REPORT_MESSAGES = {
  /** Roots of all sets, from a set on. */
  readSetRoots: toServer(144, 'list', KIB, { question: 'uint', from: 'uint' }),
  setRootsAre: toClient(145, 16 * MIB, {
    question: 'uint',
    /** Each path once. */
    paths: 'byteses',
    /** For each root of each set: the set, and which of the paths. */
    sets: 'uints',
    roots: 'uints',
    more: 'bool',
  }),
  /** What a set shows and another one before it does not, and the reverse, behind a name in a directory (-1: all). */
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
    /** Where to go on, if there are more. */
    directory: 'int',
    name: 'bytes',
  }),
  readDirectoryPaths: toServer(148, 'list', 64 * KIB, {
    question: 'uint',
    set: 'uint',
    directories: 'uints',
  }),
  /** Of the first ones asked for, at least one. Empty: the set has no such directory. */
  directoryPathsAre: toClient(149, 16 * MIB, { question: 'uint', paths: 'byteses' }),
  readSettings: toServer(150, 'list', KIB, { question: 'uint' }),
  settingsAre: toClient(151, 256 * KIB, { question: 'uint', keys: 'texts', values: 'texts' }),
  /** `isSet` false: the setting is removed. */
  changeSetting: toServer(152, 'admin', 8 * KIB, {
    question: 'uint',
    key: 'text',
    value: 'text',
    isSet: 'bool',
  }),
  settingChanged: toClient(153, KIB, { question: 'uint' }),
  readConfiguration: toServer(154, 'list', KIB, { question: 'uint', set: 'uint' }),
  /** Empty: the client of the set told none. */
  configurationIs: toClient(155, 128 * KIB, { question: 'uint', config: 'text' }),
  readFigures: toServer(156, 'list', KIB, { question: 'uint' }),
  figuresAre: toClient(157, 64 * KIB, {
    question: 'uint',
    /** Counts and bytes by their names. */
    numbers: 'counts',
    /** Directories with the most bytes of older versions: each one's id, such versions, their bytes. */
    busiest: 'uints',
  }),
};
