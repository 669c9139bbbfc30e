/** The files of `tardis setup`: the configuration, the units of systemd and the password. Writes and removes them. */
import path from 'node:path';
import {
  allRows,
  configInvalid,
  type Found,
  formatValue,
  isBucketText,
  isSshText,
  readIni,
  resolveSettings,
  type SettingName,
  type Settings,
  splitList,
  usualClientFile,
} from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import { displayText, lateSeconds } from '../../model/index.js';
import {
  byteText,
  configPath,
  deviceLink,
  homeDirectory,
  isThere,
  lastingPlace,
  makeDirectories,
  placeById,
  processEnvironment,
  replaceFile,
  type System,
  textBytes,
} from '../../system/index.js';
import { PARTLY } from '../output/exit-status.js';
import { isForeign, MARK, tardisCommand } from '../shared/own-files.js';
import { type Scope, systemctl, UNIT } from './backup-timer.js';
import {
  BUCKET_NAMES,
  type Hooks,
  type Keep,
  passwordPath,
  type Plan,
  type Report,
} from './setup-plan.js';

const SYSTEM_UNITS = '/etc/systemd/system';

type Line = readonly [name: SettingName, value: Found['value']];

/** Returns the lines of some settings in a configuration file, with their comment. */
function block(comment: string, lines: readonly Line[]): string[] {
  const rows = new Map(allRows());
  const shown = lines.map(([name, value]) => {
    const row = rows.get(name)!;
    return `${row.clientKey} = ${oneLine(formatValue(value, row), row.clientKey!)}`;
  });
  return ['', ...comment.split('\n').map((one) => `# ${one}`), ...shown];
}

/** Returns a text that is written into a line. Throws CONFIG_INVALID for a control character: it could begin another line. */
function oneLine(text: string, what: string): string {
  if (!/\p{Cc}/u.test(text)) return text;
  throw configInvalid(
    `${what} has a control character, so it cannot be set up: ${displayText(text)}`,
  );
}

/** Throws CONFIG_INVALID for a plan that cannot be written. */
export function requireWritable(plan: Plan): void {
  configText(plan);
  if (plan.time !== undefined) unitTexts(plan);
}

/**
 * Returns the store of a plan by the id of its disk, if that may be mounted elsewhere next time: not the disk of the
 * system, or of the home directory. Undefined with a server.
 */
function lastingStore({ store }: Plan): string | undefined {
  const isPath = store !== undefined && path.isAbsolute(store);
  return isPath ? placeById(lastingPlace(store), ['/', homeDirectory()]) : store;
}

/** True if the backups go to a `tardisd`, to which this machine logs in by its password. */
function mayBeRequested({ server, passwordFile }: Plan): boolean {
  return server !== undefined && passwordFile !== undefined && !isSshText(server);
}

/** Returns the text of the configuration. */
function configText(plan: Plan): string {
  const { sources, excludes, store, server, client, passwordFile, time, keep } = plan;
  const place: Line[] =
    server === undefined
      ? [
          ['database', lastingStore(plan)!],
          ['local', true],
          ...(isBucketText(store!) ? plan.bucket : []),
        ]
      : [['server', server]];
  const times: Line[] =
    time === undefined
      ? []
      : [
          ['schedule', time],
          ['overdueSeconds', lateSeconds(time)],
          ...(mayBeRequested(plan) ? [['onRequest', true] as const] : []),
        ];
  return [
    `${MARK}, which changes it when it runs again, and keeps all keys but no comments.`,
    '# docs/using/configuration.md has all keys; `tardis --explain-config` prints each setting and where it comes from.',
    '[Tardis]',
    ...block('What is backed up, and which directories in it are not.', [
      ['directories', sources],
      ['excludeDirs', excludes],
      ['skipCaches', true],
    ]),
    ...block('Where the backups are, and the name of this machine there.', [
      ...place,
      ['client', client],
    ]),
    ...(passwordFile === undefined
      ? ['', '# The backups are not encrypted; `sonic encrypt` encrypts them later.']
      : block('The password. Without it nobody can read the backups.', [
          ['passwordFile', passwordFile],
        ])),
    ...(time === undefined
      ? []
      : block(
          'When backups are planned, and the number of seconds after which they are late. A timer starts `tardis backup --if-due`.\nWith OnRequest, it also backs up if an administrator of the server requests it.',
          times,
        )),
    ...(keep === undefined
      ? []
      : block(
          'After a backup, old sets are deleted by the rules of the client (`sonic getconfig`).',
          [['purge', true]],
        )),
    ...reportLines(plan.report),
    ...hookLines(plan.hooks),
    ...plan.added,
    '',
  ].join('\n');
}

const REPORTED = 'Where a failed backup is reported.';

function reportLines(report: Report): string[] {
  if (report.kind === 'mail') return block(REPORTED, [['mailTo', splitList(report.to, 'Report')]]);
  if (report.kind === 'url') return block(REPORTED, [['urlFailure', report.to]]);
  if (report.kind === 'nobody') return [];
  return block(REPORTED, [['notices', true]]);
}

function hookLines({ before, after }: Hooks): string[] {
  const lines: Line[] = [
    ...(before.length === 0 ? [] : [['hookBefore', before] as const]),
    ...(after.length === 0 ? [] : [['hookAfter', after] as const]),
  ];
  return lines.length === 0 ? [] : block('Commands that run around each backup.', lines);
}

/** Returns the plan that an earlier run has written; undefined if there is none. Throws CONFIG_INVALID. */
export function writtenPlan(keep: Keep | undefined): Plan | undefined {
  const file = usualClientFile();
  if (!isThere(file)) return undefined;
  const commandLine = new Map([['configFiles', [file]]]);
  const given = resolveSettings('tardis', { commandLine, environment: processEnvironment() });
  const report = reportOf(given);
  const isHere = given.sources.get('server')?.source !== 'configuration file';
  return {
    sources: given.directories.map(byteText),
    excludes: given.excludeDirs.map(byteText),
    store: isHere ? byteText(given.database) : undefined,
    server: isHere ? undefined : given.server,
    client: given.client,
    passwordFile: given.passwordFile && byteText(given.passwordFile),
    time: given.schedule,
    scope: process.geteuid?.() === 0 && isThere(unitPath('system', 'timer')) ? 'system' : 'user',
    keep: given.purge ? keep : undefined,
    report,
    hooks: { before: given.hookBefore ?? [], after: given.hookAfter ?? [] },
    added: addedLines(file, report),
    bucket: [],
    mayShareDisk: true, // this was confirmed when the file was written
  };
}

function reportOf({ mailTo, urlFailure, notices }: Settings<'tardis'>): Report {
  if (mailTo.length > 0) return { kind: 'mail', to: mailTo.join(', ') };
  if (urlFailure !== undefined) return { kind: 'url', to: urlFailure };
  return { kind: notices ? 'desktop' : 'nobody' };
}

/** Settings that each configuration of `tardis setup` has or leaves out by the plan. */
const PLANNED: readonly SettingName[] = [
  'directories',
  'excludeDirs',
  'skipCaches',
  'database',
  'server',
  'local',
  'client',
  'passwordFile',
  'schedule',
  'overdueSeconds',
  'onRequest',
  'purge',
  'hookBefore',
  'hookAfter',
  ...BUCKET_NAMES,
];
const REPORTING: Readonly<Record<Report['kind'], SettingName | undefined>> = {
  mail: 'mailTo',
  url: 'urlFailure',
  desktop: 'notices',
  nobody: undefined,
};

/** Returns the lines of a configuration that no plan has. */
function addedLines(file: string, { kind }: Report): string[] {
  const planned = new Set<string | undefined>([...PLANNED, REPORTING[kind]]);
  const rows = allRows().filter(([name]) => planned.has(name));
  const keys = new Set(rows.map(([, { clientKey }]) => clientKey?.toLowerCase()));
  const sections = readIni(textBytes(file), file).map(({ name, entries }) => {
    const isMain = name.toLowerCase() === 'tardis';
    const added = entries.filter(({ key }) => !isMain || !keys.has(key.toLowerCase()));
    const lines = added.map(({ key, text }) => `${key} = ${text.replaceAll('\n', '\n  ')}`);
    const head = isMain ? '# Added to this file.' : `[${name}]`;
    return { isMain, lines: lines.length === 0 ? [] : ['', head, ...lines] };
  });
  const ordered = sections.toSorted((one, other) => Number(other.isMain) - Number(one.isMain));
  return ordered.flatMap(({ lines }) => lines);
}

/** Returns the path of a unit. */
export function unitPath(scope: Scope, kind: 'service' | 'timer'): string {
  const folder = scope === 'system' ? SYSTEM_UNITS : path.join(configPath('..'), 'systemd', 'user');
  return path.join(folder, `${UNIT}.${kind}`);
}

/** Returns the texts of the units that start the backups of a plan. */
function unitTexts(plan: Plan): { service: string; timer: string } {
  const disk = diskUnit(plan);
  const appears = `
[Install]
# It also starts when the disk of the store is connected.
WantedBy=${disk}
`;
  const service = `${MARK}, which replaces it when it runs again.
[Unit]
Description=Backup by tardis, if one is due
Documentation=man:tardis(1)
ConditionPathExists=${plainWord(usualClientFile())}

[Service]
Type=oneshot
ExecStart=${unitWord(tardisCommand())} backup --if-due --config ${unitWord(usualClientFile())}
# Something could not be read, or the machine was shut down meanwhile.
SuccessExitStatus=${PARTLY} 130 143
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
# It ends in order, at a checkpoint.
KillSignal=SIGTERM
TimeoutStopSec=120
UMask=0077
${disk === undefined ? '' : appears}`;
  const timer = `${MARK}, which replaces it when it runs again.
# It looks often whether a backup is due (Schedule in the configuration), so that one that was slept through, or had to
# wait for a disk, the network or power, begins soon after all of them are there.
[Unit]
Description=Looks whether a backup by tardis is due

[Timer]
OnCalendar=*:0/15
RandomizedDelaySec=2min
Persistent=true

[Install]
WantedBy=timers.target
`;
  return { service, timer };
}

/** Returns the unit of the disk of the store, which is there while the disk is connected. */
function diskUnit(plan: Plan): string | undefined {
  const link = deviceLink(lastingStore(plan) ?? '');
  if (link === undefined) return undefined;
  const escaped = link.slice(1).replaceAll(/[^A-Za-z0-9_.:/]/g, hexOf);
  return `${escaped.replaceAll('/', '-')}.device`;
}

/** Returns a character as systemd writes it in the name of a unit. */
function hexOf(character: string): string {
  return String.raw`\x` + character.charCodeAt(0).toString(16).padStart(2, '0');
}

/** Returns a path for a setting of a unit, in which `%` begins a specifier. */
function plainWord(word: string): string {
  return oneLine(word, 'a path of the timer').replaceAll('%', '%%');
}

/** Returns a word of a command line of a unit. */
function unitWord(word: string): string {
  return `"${plainWord(word).replaceAll(/["\\]/g, String.raw`\$&`).replaceAll('$', '$$$$')}"`;
}

/** Writes a file that only its owner can read, and the directories above it. */
async function writeOwn({ files }: System, file: string, text: string | Uint8Array): Promise<void> {
  try {
    makeDirectories(path.dirname(file));
    await replaceFile(files, file, Buffer.from(text), { isSecret: true });
  } catch (error) {
    throw failedTo(`write ${file}`, error, 'useNamedFile');
  }
}

/** Writes the configuration. */
export function writeConfig(system: System, plan: Plan): Promise<void> {
  return writeOwn(system, usualClientFile(), textBytes(configText(plan)));
}

/** Writes the password into a file that only its owner can read. */
export function writePassword(
  system: System,
  password: Uint8Array,
  file: string = passwordPath(),
): Promise<void> {
  return writeOwn(system, file, Buffer.concat([password, Buffer.from('\n')]));
}

/** Writes and starts the timer. Returns false if systemd did not start it; the files are there then. */
export async function startTimer(system: System, plan: Plan): Promise<boolean> {
  const { scope } = plan;
  const texts = unitTexts(plan);
  await writeOwn(system, unitPath(scope, 'service'), texts.service);
  await writeOwn(system, unitPath(scope, 'timer'), texts.timer);
  systemctl(scope, ['daemon-reload']);
  systemctl(scope, [diskUnit(plan) === undefined ? 'disable' : 'reenable', `${UNIT}.service`]);
  return systemctl(scope, ['enable', '--now', `${UNIT}.timer`]) !== undefined;
}

/** Stops the timers and removes their units. Returns the paths of the removed files. */
export function removeTimers(system: System, scopes: readonly Scope[]): string[] {
  const removed: string[] = [];
  const isRoot = process.geteuid?.() === 0;
  for (const scope of scopes) {
    if (scope === 'system' && !isRoot) continue; // the timer of the system is root's
    const units = (['timer', 'service'] as const).map((kind) => unitPath(scope, kind));
    const own = units.filter((file) => isThere(file) && !isForeign(system, file));
    if (own.length === 0) continue;
    systemctl(scope, ['disable', '--now', `${UNIT}.timer`]);
    systemctl(scope, ['disable', `${UNIT}.service`]);
    for (const file of own) remove(system, file);
    systemctl(scope, ['daemon-reload']);
    removed.push(...own);
  }
  return removed;
}

/** Removes the configuration, if `tardis setup` wrote it. Returns the paths of the removed files. */
export function removeConfig(system: System): string[] {
  const file = usualClientFile();
  if (!isThere(file) || isForeign(system, file)) return [];
  remove(system, file);
  return [file];
}

/** Removes a file. Throws the error of a file that this user may not remove. */
export function remove({ files }: System, file: string): void {
  try {
    files.unlink(file);
  } catch (error) {
    throw failedTo(`remove ${file}`, error, 'useNamedFile');
  }
}
