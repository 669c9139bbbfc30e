/** Settings of `tardisd` and `tardisremote`: their service, HTTP, and monitoring. */
import { STORE_UMASK } from '../system/index.js';
import { amount, commonRow, type PartialTable, row, rowsFor } from './row.js';
import { CONNECTING, SONIC } from './tools.js';

const MIB = 1 << 20;

/** Settings of the server. */
export const SERVER_ROWS = rowsFor({ tools: ['tardisd'] }, {
  daemonConfig: commonRow('path', '--config <file>', {
    variable: 'TARDIS_DAEMON_CONFIG',
    help: 'configuration file; empty: none (default: /etc/tardis/tardisd.cfg, if it exists)',
  }),
  onlyClient: row('text', '-C, --client <name>', { help: 'serve this client only' }),
  localSocket: commonRow('text', '--local <socket>', {
    serverKey: 'Local',
    help: 'path of a unix socket to listen on instead of the port',
  }),
  single: row('bool', '--single', { serverKey: 'Single', help: 'serve one session, then exit' }),
  stdio: commonRow('bool', '--stdio', {
    help: 'serve one session on standard input and output, then exit; ssh starts the server so for --server ssh://HOST/PLACE (docs/server/ssh.md), and tardis for --local-server-cmd',
  }),
  restrict: commonRow('text', '--restrict <rights>', {
    serverKey: 'Restrict',
    help: 'rights that sessions have at most, separated by commas: add, read, list, purge, admin, quota. With only add, a client can back up, but not read, delete or change keys. For the command of a key in authorized_keys: tardisd --stdio --restrict add -C NAME',
  }),
  allowNewHosts: row('bool', '--allow-new-hosts', {
    serverKey: 'AllowNewHosts',
    help: 'allow sessions to create new clients',
  }),
  newHostsAtOnce: amount('int', '--new-hosts-at-once <n>', [20, 1, 1_000_000], {
    serverKey: 'NewHostsAtOnce',
    help: 'with --allow-new-hosts: number of clients that one address may create at once; after that, one more each minute',
  }),
  logFile: row('path', '--logfile <file>', {
    tools: ['tardisd', 'tardisremote', 'tardisfs'],
    serverKey: 'LogFile',
    help: 'log to this file instead of standard error',
  }),
  verbose: amount('count', '-v, --verbose', [0, 0, 9], {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'Verbose',
    perTool: {
      tardisremote: {
        help: 'amount of messages: 0: only errors; 1 (-v): also failed logins; more adds nothing',
      },
    },
    help: 'amount of messages: 0: only errors; 1 (-v): also sessions, refusals, warnings and background work; more adds nothing',
  }),
  logExceptions: row('bool', '--log-exceptions', {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'LogExceptions',
    perTool: {
      tardisremote: {
        help: 'also log the call stack of each request that fails; otherwise only of internal errors',
      },
    },
    help: 'also log the call stack when a request is refused (with -v); otherwise only for internal errors',
  }),
  saveConfig: row('bool', '', {
    default: true,
    serverKey: 'SaveConfig',
    help: 'store the settings of the client with each set, if the client sends them',
  }),
  acceptCopies: row('bool', '--accept-copies', {
    serverKey: 'AcceptCopies',
    help: 'let owners copy their clients to this server (sonic copy --to-server). The owner sets the names, times, tags and priorities of these sets, and so influences which sets the rules delete',
  }),
  allowUpgrades: row('bool', '', {
    default: true,
    serverKey: 'AllowSchemaUpgrades',
    help: 'upgrade catalogs of earlier releases to the newest version when they are opened for writing',
  }),
  umask: row('mode', '--umask <mode>', {
    range: [0, 0o777],
    default: () => process.umask() | STORE_UMASK,
    defaultText: '027, combined with the umask of the process',
    tools: ['tardisd', ...SONIC],
    serverKey: 'Umask',
    help: 'umask for files and directories of the store',
  }),
  storeSkipFile: row('name', '', {
    default: '.tardis-skip',
    tools: [
      'tardisd',
      'sonic create',
      'sonic copy',
      'sonic rekey',
      'sonic encrypt',
      'sonic forget-path',
    ],
    variable: 'TARDIS_SKIP',
    serverKey: 'SkipFileName',
    help: 'name of the empty file created in each new client directory, which excludes it from backups of the server itself',
  }),
  daemon: row('bool', '--daemon', {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'Daemon',
    help: 'run in the background; needs --pidfile and --logfile',
  }),
  pidFile: row('path', '--pidfile <file>', {
    variable: 'TARDIS_PIDFILE',
    serverKey: 'PidFile',
    help: 'file that contains the process id while the server runs',
  }),
  user: row('text', '--user <name>', {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'User',
    help: 'user to run as (only root can choose)',
  }),
  group: row('text', '--group <name>', {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'Group',
    help: 'group to run as (default: the group of --user)',
  }),
  storageThreads: row('int', '', {
    range: [0, 16],
    defaultText: '1, or 0 for a single session on at most two processors',
    serverKey: 'StorageThreads',
    isTuning: true,
    help: 'threads that write packs and catalogs; the clients are divided among them; 0: use the main thread',
  }),
  creditBytes: amount('size', '', [17 * MIB, 17 * MIB, 1024 * MIB], {
    serverKey: 'Credit',
    isTuning: true,
    help: 'maximum number of bytes that a client has sent and the server has not yet processed',
  }),
  parkSeconds: amount('seconds', '', [600, 0, 86_400], {
    serverKey: 'ParkTimeout',
    help: 'seconds that a session whose connection is lost waits for its client; 0: it ends at once',
  }),
  maxParked: amount('int', '', [16, 1, 1024], {
    serverKey: 'ParkedSessions',
    help: 'number of sessions without a connection that may wait; beyond it, the one that has waited longest ends',
  }),
  packBytes: amount('size', '', [64 * MIB, MIB, 2048 * MIB], {
    serverKey: 'PackSize',
    isTuning: true,
    help: 'close a pack at the first checkpoint after it reaches this size, or at once when it reaches twice this size',
  }),
  reserveBytes: amount('size', '', [16 * MIB, 0, 1024 * MIB], {
    serverKey: 'Reserve',
    isTuning: true,
    help: 'maximum space that each client reserves for records that must be written even if the disk is full; 0: none',
  }),
  leastFreeBytes: amount('size', '', [32 * MIB, 0, 2 ** 50], {
    serverKey: 'LeastFree',
    isTuning: true,
    help: 'if the store has less free space than this, do not start a backup, and end a running one cleanly',
  }),
  catalogCacheBytes: amount('size', '', [6 * MIB, MIB, 1024 * MIB], {
    serverKey: 'CatalogCache',
    isTuning: true,
    help: 'memory for pages of each open catalog',
  }),
  checkpointBytes: amount('size', '', [64 * MIB, MIB, 4096 * MIB], {
    serverKey: 'CheckpointSize',
    isTuning: true,
    help: 'make a checkpoint after this many bytes',
  }),
  checkpointEntries: amount('int', '', [65_536, 64, 1 << 24], {
    serverKey: 'CheckpointEntries',
    isTuning: true,
    help: 'make a checkpoint after this many entries',
  }),
  checkpointSeconds: amount('seconds', '', [5, 0.1, 3600], {
    serverKey: 'CheckpointInterval',
    isTuning: true,
    help: 'make a checkpoint after this many seconds',
  }),
} as const satisfies PartialTable);

const DEFAULT_REMOTE_PORT = 7430;

/** Settings of `tardisremote`, which serves stores over HTTP, and of a `tardisd` that does so itself. */
export const REMOTE_ROWS = rowsFor({ tools: ['tardisremote'] }, {
  remoteConfig: commonRow('path', '--config <file>', {
    variable: 'TARDIS_REMOTE_CONFIG',
    help: 'configuration file; empty: none (default: /etc/tardis/tardisremote.cfg, if it exists)',
  }),
  remotePort: amount('int', '--port <n>', [DEFAULT_REMOTE_PORT, 0, 65_535], {
    isCommon: true,
    variable: 'TARDIS_REMOTE_PORT',
    remoteKey: 'Port',
    help: 'TCP port to listen on; 0 lets the system choose one',
  }),
  remoteUrlPort: row('int', '', {
    range: [1, 65_535],
    tools: CONNECTING,
    variable: 'TARDIS_REMOTE_PORT',
    defaultText: '443',
    help: 'TCP port of a tardisremote whose URL (--server https://HOST/) names none',
  }),
  readServer: row('text', '--server <host[:port]>', {
    remoteKey: 'Server',
    help: 'serve the clients of the tardisd on this host (or on this unix socket) instead of a store of this machine; clients log in with tokens of accounts, not with passwords',
  }),
  serverCertificate: row('path', '--server-certificate <file>', {
    remoteKey: 'ServerCertificate',
    help: 'with --server: certificate of that tardisd, or of the authority that issued it (PEM); by default the certificate must be trusted by this machine',
  }),
  remotePidFile: row('path', '--pidfile <file>', {
    variable: 'TARDIS_REMOTE_PIDFILE',
    remoteKey: 'PidFile',
    help: 'file that contains the process id while the program runs',
  }),
  remote: row('bool', '--remote', {
    tools: ['tardisd'],
    serverKey: 'Remote',
    help: 'serve the store over HTTP too, as tardisremote does',
  }),
  besidePort: amount('int', '--remote-port <n>', [DEFAULT_REMOTE_PORT, 0, 65_535], {
    tools: ['tardisd'],
    serverKey: 'RemotePort',
    help: 'with --remote: TCP port for HTTP; 0 lets the system choose one',
  }),
  trustedProxies: row('texts', '--trusted-proxies <address>', {
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'TrustedProxies',
    help: 'proxy whose headers X-Forwarded-For and X-Forwarded-Prefix are trusted: an address, or a block such as 10.0.0.0/8; may be repeated',
  }),
  compress: row('bool', '--[no-]compress', {
    default: true,
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'Compress',
    help: 'compress JSON responses over HTTP, if the HTTP client accepts that',
  }),
  allowCache: row('bool', '--[no-]allow-cache', {
    default: true,
    tools: ['tardisd', 'tardisremote'],
    serverKey: 'AllowCache',
    help: 'let HTTP clients cache contents of complete sets for an hour',
  }),
} as const satisfies PartialTable);

const DAY_SECONDS = 86_400;

/** Settings of the server's monitoring: alerts for overdue clients, metrics, profiles. */
export const WATCH_ROWS = rowsFor({ tools: ['tardisd'] }, {
  overdueSeconds: amount('seconds', '--overdue-after <seconds>', [0, 0, 999_999_999], {
    tools: ['tardis', 'tardisd', 'tardis-web', 'sonic clients', 'sonic status'],
    bothKeys: 'OverdueAfter',
    help: 'a client is overdue this many seconds after the end of its newest complete set; 0: never. Without it, commands call a client late by the interval of its server, else after two and a half times the usual distance of its backups',
  }),
  overdueFor: row('texts', '--overdue-for <client=seconds>', {
    serverKey: 'OverdueFor',
    help: 'overdue time of one client, in place of --overdue-after; may be repeated',
  }),
  hookOverdue: row('command', '--hook-overdue <command>', {
    serverKey: 'HookOverdue',
    help: 'command to run for each client that has become overdue',
  }),
  watchSeconds: amount('seconds', '', [300, 1, DAY_SECONDS], {
    serverKey: 'WatchInterval',
    help: 'seconds between two checks of all clients, for overdue clients and for metrics',
  }),
  metricsFile: row('path', '--metrics-file <file>', {
    serverKey: 'MetricsFile',
    help: 'write metrics to this file, in OpenMetrics format, for a textfile collector (its name should end in .prom)',
  }),
  metricsPort: row('int', '--metrics-port <n>', {
    range: [0, 65_535],
    serverKey: 'MetricsPort',
    help: 'serve metrics over HTTP at /metrics on this port; 0: any free port',
  }),
  metricsAddress: row('text', '--metrics-address <ip>', {
    default: '127.0.0.1',
    serverKey: 'MetricsAddress',
    help: 'address of this machine for --metrics-port; anyone who can connect to it can read names and metrics of all clients',
  }),
  profileSessions: row('bool', '--profile-sessions', {
    serverKey: 'Profile',
    help: 'write a CPU profile of each session to .profiles in the store, in a format that Chrome and some editors can open',
  }),
  profilesKept: amount('int', '', [20, 1, 1000], {
    serverKey: 'ProfilesKept',
    help: 'number of the newest session profiles to keep',
  }),
} as const satisfies PartialTable);
