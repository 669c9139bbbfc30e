/** Every name of the systems that this one continues is a setting, or is refused by name. */
import test from 'ava';
import { ABSENT, type AbsentKind, allRows, nearest, refuseAbsent } from '../../src/config/index.js';
import { thrownCode } from '../helpers/codes.js';

const VARIABLES =
  'TARDIS_DB TARDIS_PORT TARDIS_DBNAME TARDIS_SERVER TARDIS_CLIENT TARDIS_DAEMON_CONFIG ' +
  'TARDIS_LOCAL_CONFIG TARDIS_EXCLUDES TARDIS_LOCAL_EXCLUDES TARDIS_GLOBAL_EXCLUDES TARDIS_SKIP ' +
  'TARDIS_PIDFILE TARDIS_SCHEMA TARDIS_LS_COLORS TARDIS_REMOTE_PORT TARDIS_REMOTE_CONFIG ' +
  'TARDIS_REMOTE_PIDFILE TARDIS_DEFAULTS TARDIS_RECENT_SET TARDIS_SEND_CONFIG TARDIS_NOCOMPRESS';
const CLIENT_KEYS =
  'Server Port Client Force Full Timeout Password PasswordFile PassswordProg Crypt KeyFile ' +
  'CompressData CompressMin NoCompressFile NoCompress SendClientConfig Local LocalServerCmd ' +
  'CompressMsgs ChecksumContent Purge IgnoreCVS SkipCaches SendSig ExcludePatterns ExcludeFiles ' +
  'ExcludeDirs GlobalExcludeFileName ExcludeFileName LocalExcludeFileName SkipFileName ' +
  'ExcludeNoAccess LogFiles Verbosity Stats Report Directories';
const SERVER_KEYS =
  'Port BaseDir DBName Schema LogFile JournalFile Profile AllowNewHosts RequirePassword SaveConfig ' +
  'LogExceptions MaxDeltaChain MaxChangePercent SaveFull AllowSchemaUpgrades Single Local Verbose ' +
  'Daemon Umask User Group PidFile SSL CertFile KeyFile SkipFileName Formats Priorities KeepPeriods ' +
  'DBBackups';

for (const [kind, names] of [
  ['variable', VARIABLES],
  ['client key', CLIENT_KEYS],
  ['server key', SERVER_KEYS],
] as const) {
  test(`every ${kind} of the seeds is a setting or is refused`, (t) => {
    const known = new Set(
      allRows().map(
        ([, row]) =>
          ({ variable: row.variable, 'client key': row.clientKey, 'server key': row.serverKey })[
            kind
          ],
      ),
    );
    for (const name of names.split(' ')) {
      const isAbsent = ABSENT.some((row) => row.kind === kind && row.name === name);
      t.true(known.has(name) || isAbsent, name);
      t.false(known.has(name) && isAbsent, `${name} is a setting, and refused`);
    }
  });
}

test('each refused name has a hint of what to do instead', (t) => {
  const seen = new Set<string>();
  for (const { name, kind, tools = [undefined], instead } of ABSENT) {
    t.not(instead, '', name);
    for (const tool of tools) {
      t.false(seen.has(`${kind} ${name} ${tool}`), `${name} is there twice`);
      seen.add(`${kind} ${name} ${tool}`);
      t.is(
        thrownCode(() => refuseAbsent(kind, name, 'here', tool)),
        'CAPABILITY_MISSING',
      );
    }
    const other: AbsentKind = kind === 'option' ? 'variable' : 'option';
    t.notThrows(() => refuseAbsent(other, name, 'here'));
  }
});

test('the nearest name is found by few slips, whatever the case', (t) => {
  const names = ['Port', 'Workers', 'BaseDir', 'AllowNewHosts'];
  t.is(nearest('prot', names), 'Port');
  t.is(nearest('WORKER', names), 'Workers');
  t.is(nearest('AllowNewHost', names), 'AllowNewHosts');
  t.is(nearest('completely else', names), undefined);
  t.is(nearest('x'.repeat(100_000), names), undefined);
  t.is(nearest('a', []), undefined);
});
