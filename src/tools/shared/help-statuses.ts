/** The exit statuses of the commands, as --help and the manual pages show them. The tests hold every command to them. */
import type { Tool } from '../../config/index.js';

/** Exit statuses with their meanings. */
type Statuses = Readonly<Record<number, string>>;

/** The exit statuses that every command may return. */
const USUAL: Statuses = {
  0: 'done',
  1: 'failed',
  10: 'no such store or client',
  11: 'busy',
  12: 'wrong or missing password or key',
  130: 'interrupted (SIGINT or SIGHUP)',
  143: 'interrupted (SIGTERM)',
};

/** A command that compares the store with its checksums, or with this machine's memory of it. */
const WARNED = 'done, with a warning of damage, or of another or an older store';
/** A command that makes a new generation of a client. */
const WAS_DAMAGED = 'done, but contents were damaged or missing before';

/** Exit statuses that not every command has, and those whose meaning differs from the usual one. */
const OWN: Readonly<Partial<Record<Tool, Statuses>>> = {
  tardis: {
    3: 'done, but some files could not be read, a further store lacks contents, or the disk of the store failed at the end',
  },
  'tardis-import': {
    3: 'done, but something of the source could not be read, or --verify found a difference',
  },
  tardisd: { 0: 'ended', 11: 'another tardisd is running' },
  tardisremote: { 0: 'ended', 11: 'another tardisremote is running' },
  regenerate: {
    3: 'done, but some files could not be restored, or not be read by the backup, or something was not proven or is damaged',
    11: 'busy, or this restore is already running',
  },
  lstardis: {
    3: 'done, but something is not shown, not read by the backup or not proven, or is damaged',
  },
  tardisfs: { 0: 'mounted (with -f: unmounted again)', 3: `with -f: ${WARNED}` },
  'tardis-web': { 0: 'ended', 3: 'ended, but something was not proven, or is damaged' },
  tardiff: {
    0: 'no differences',
    1: 'differences',
    2: 'failed, or something could not be compared',
  },
  'sonic rekey': { 3: WAS_DAMAGED },
  'sonic encrypt': { 3: WAS_DAMAGED },
  'sonic copy': { 3: 'done, but contents are damaged or missing in the copy' },
  'sonic export': {
    3: 'done, but some files could not be written, or not be read by the backup, or something is damaged',
    11: 'busy, or another export into this directory is running',
  },
  'sonic account': { 3: WARNED },
  'sonic status': {
    0: 'good, or a backup is running',
    3: 'the last backup is complete, but has warnings',
    4: 'late: no backup within its interval',
    5: 'the last backup failed',
    6: 'never backed up, or nothing is set up',
    10: 'unknown: the store or its server is not there',
  },
  'sonic setup': { 3: 'done, but something could not be read, started or sent' },
  'sonic clients': { 3: WARNED },
  'sonic files': { 3: WARNED },
  'sonic info': { 3: WARNED },
  'sonic stats': { 3: WARNED },
  'sonic getconfig': { 3: WARNED },
  'sonic upgrade': { 3: WARNED },
  'sonic check': { 0: 'no damage found', 1: 'the check failed', 3: 'damage found' },
  'sonic delete': { 3: WARNED },
  'sonic forget-path': { 3: WAS_DAMAGED },
  'sonic bucket': { 3: 'done, but objects are lost, or were not written by this program' },
  'sonic rebuild': { 0: 'everything is intact', 3: 'something is damaged or missing' },
};

/** Returns all exit statuses of a command. */
export function statusesOf(tool: Tool): Statuses {
  return { ...USUAL, ...OWN[tool] };
}

/** Returns the paragraph of the help about exit statuses. */
export function statusNote(tool: Tool): string {
  const all = Object.entries(statusesOf(tool)); // in ascending order, since the keys are numbers
  return `Exit status: ${all.map(([status, meaning]) => `${status} ${meaning}`).join(', ')}.`;
}
