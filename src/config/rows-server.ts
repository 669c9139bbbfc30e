/** Settings of `tardisd` and `tardisremote`: their service, HTTP, and monitoring. */
import { STORE_UMASK } from '../system/index.js';
import { amount, commonRow, on, type PartialTable, row, rowsFor, tuningRows } from './row.js';
import { CONNECTING, SONIC, ofSonic } from './tools.js';

const MIB = 1 << 20;

/** Settings of the server. */
export const SERVER_ROWS = rowsFor(['tardisd'], 'server', {
  daemonConfig: commonRow('path', ['--config <file>', 'TARDIS_DAEMON_CONFIG'], {
    help: 'configuration file; empty: none (default: /etc/tardis/tardisd.cfg, if it exists)',
  }),
  onlyClient: row('text', '-C, --client <name>', { help: 'serve this client only' }),
  localSocket: commonRow('text', ['--local <socket>', 'Local'], {
    help: 'path of a unix socket to listen on instead of the port',
  }),
  single: row('bool', ['--single', 'Single'], { help: 'serve one session, then exit' }),
  stdio: commonRow('bool', '--stdio', {
    help: 'serve one session on standard input and output, then exit; ssh starts the server so for --server ssh://HOST/PLACE (docs/server/ssh.md), and tardis for --local-server-cmd',
  }),
  restrict: commonRow('text', ['--restrict <rights>', 'Restrict'], {
    help: 'rights that sessions have at most, separated by commas: add, read, list, purge, admin, quota. With only add, a client can back up, but not read, delete or change keys. For the command of a key in authorized_keys: tardisd --stdio --restrict add -C NAME',
  }),
  allowNewHosts: row('bool', ['--allow-new-hosts', 'AllowNewHosts'], {
    help: 'allow sessions to create new clients',
  }),
  newHostsAtOnce: amount('int', ['--new-hosts-at-once <n>', 'NewHostsAtOnce'], [20, 1, 1_000_000], {
    help: 'with --allow-new-hosts: number of clients that one address may create at once; after that, one more each minute',
  }),
  logFile: row('path', ['--logfile <file>', 'LogFile'], {
    tools: ['tardisd', 'tardisremote', 'tardisfs'],
    help: 'log to this file instead of standard error',
  }),
  verbose: amount('count', ['-v, --verbose', 'Verbose'], [0, 0, 9], {
    tools: ['tardisd', 'tardisremote'],
    perTool: {
      tardisremote:
        'amount of messages: 0: only errors; 1 (-v): also failed logins; more adds nothing',
    },
    help: 'amount of messages: 0: only errors; 1 (-v): also sessions, refusals, warnings and background work; more adds nothing',
  }),
  logExceptions: row('bool', ['--log-exceptions', 'LogExceptions'], {
    tools: ['tardisd', 'tardisremote'],
    perTool: {
      tardisremote:
        'also log the call stack of each request that fails; otherwise only of internal errors',
    },
    help: 'also log the call stack when a request is refused (with -v); otherwise only for internal errors',
  }),
  saveConfig: on('SaveConfig', {
    help: 'store the settings of the client with each set, if the client sends them',
  }),
  acceptCopies: row('bool', ['--accept-copies', 'AcceptCopies'], {
    help: 'let owners copy their clients to this server (sonic copy --to-server). The owner sets the names, times, tags and priorities of these sets, and so influences which sets the rules delete',
  }),
  allowUpgrades: on('AllowSchemaUpgrades', {
    help: 'upgrade catalogs of earlier releases to the newest version when they are opened for writing',
  }),
  umask: row('mode', ['--umask <mode>', 'Umask'], {
    range: [0, 0o777],
    default: () => process.umask() | STORE_UMASK,
    defaultText: '027, combined with the umask of the process',
    tools: ['tardisd', ...SONIC],
    help: 'umask for files and directories of the store',
  }),
  storeSkipFile: row('name', ['SkipFileName', 'TARDIS_SKIP'], {
    default: '.tardis-skip',
    tools: ['tardisd', ...ofSonic('create', 'copy', 'rekey', 'encrypt', 'forget-path')],
    help: 'name of the empty file created in each new client directory, which excludes it from backups of the server itself',
  }),
  daemon: row('bool', ['--daemon', 'Daemon'], {
    tools: ['tardisd', 'tardisremote'],
    help: 'run in the background; needs --pidfile and --logfile',
  }),
  pidFile: row('path', ['--pidfile <file>', 'PidFile', 'TARDIS_PIDFILE'], {
    help: 'file that contains the process id while the server runs',
  }),
  user: row('text', ['--user <name>', 'User'], {
    tools: ['tardisd', 'tardisremote'],
    help: 'user to run as (only root can choose)',
  }),
  group: row('text', ['--group <name>', 'Group'], {
    tools: ['tardisd', 'tardisremote'],
    help: 'group to run as (default: the group of --user)',
  }),
  storageThreads: row('int', 'StorageThreads', {
    range: [0, 16],
    defaultText: '1, or 0 for a single session on at most two processors',
    isTuning: true,
    help: 'threads that write packs and catalogs; the clients are divided among them; 0: use the main thread',
  }),
  creditBytes: amount('size', 'Credit', [17 * MIB, 17 * MIB, 1024 * MIB], {
    isTuning: true,
    help: 'maximum number of bytes that a client has sent and the server has not yet processed',
  }),
  parkSeconds: amount('seconds', 'ParkTimeout', [600, 0, 86_400], {
    help: 'seconds that a session whose connection is lost waits for its client; 0: it ends at once',
  }),
  maxParked: amount('int', 'ParkedSessions', [16, 1, 1024], {
    help: 'number of sessions without a connection that may wait; beyond it, the one that has waited longest ends',
  }),
  ...tuningRows(['tardisd'], 'server', {
    packBytes: amount('size', 'PackSize', [64 * MIB, MIB, 2048 * MIB], {
      help: 'close a pack at the first checkpoint after it reaches this size, or at once when it reaches twice this size',
    }),
    reserveBytes: amount('size', 'Reserve', [16 * MIB, 0, 1024 * MIB], {
      help: 'maximum space that each client reserves for records that must be written even if the disk is full; 0: none',
    }),
    leastFreeBytes: amount('size', 'LeastFree', [32 * MIB, 0, 2 ** 50], {
      help: 'if the store has less free space than this, do not start a backup, and end a running one cleanly',
    }),
    catalogCacheBytes: amount('size', 'CatalogCache', [6 * MIB, MIB, 1024 * MIB], {
      help: 'memory for pages of each open catalog',
    }),
    checkpointBytes: amount('size', 'CheckpointSize', [64 * MIB, MIB, 4096 * MIB], {
      help: 'make a checkpoint after this many bytes',
    }),
    checkpointEntries: amount('int', 'CheckpointEntries', [65_536, 64, 1 << 24], {
      help: 'make a checkpoint after this many entries',
    }),
    checkpointSeconds: amount('seconds', 'CheckpointInterval', [5, 0.1, 3600], {
      help: 'make a checkpoint after this many seconds',
    }),
  }),
} as const satisfies PartialTable);

const DEFAULT_REMOTE_PORT = 7430;

/** Settings of `tardisremote`, which serves stores over HTTP, and of a `tardisd` that does so itself. */
export const REMOTE_ROWS = rowsFor(['tardisremote'], 'server', {
  remoteConfig: commonRow('path', ['--config <file>', 'TARDIS_REMOTE_CONFIG'], {
    help: 'configuration file; empty: none (default: /etc/tardis/tardisremote.cfg, if it exists)',
  }),
  ...rowsFor(['tardisremote'], 'remote', {
    remotePort: amount('int', ['--port <n>', 'Port'], [DEFAULT_REMOTE_PORT, 0, 65_535], {
      isCommon: true,
      variable: 'TARDIS_REMOTE_PORT',
      help: 'TCP port to listen on; 0 lets the system choose one',
    }),
    remoteUrlPort: row('int', 'TARDIS_REMOTE_PORT', {
      range: [1, 65_535],
      tools: CONNECTING,
      defaultText: '443',
      help: 'TCP port of a tardisremote whose URL (--server https://HOST/) names none',
    }),
    readServer: row('text', ['--server <host[:port]>', 'Server'], {
      help: 'serve the clients of the tardisd on this host (or on this unix socket) instead of a store of this machine; clients log in with tokens of accounts, not with passwords',
    }),
    serverCertificate: row('path', ['--server-certificate <file>', 'ServerCertificate'], {
      help: 'with --server: certificate of that tardisd, or of the authority that issued it (PEM); by default the certificate must be trusted by this machine',
    }),
    remotePidFile: row('path', ['--pidfile <file>', 'PidFile', 'TARDIS_REMOTE_PIDFILE'], {
      help: 'file that contains the process id while the program runs',
    }),
  }),
  remote: row('bool', ['--remote', 'Remote'], {
    tools: ['tardisd'],
    help: 'serve the store over HTTP too, as tardisremote does',
  }),
  besidePort: amount('int', ['--remote-port <n>', 'RemotePort'], [DEFAULT_REMOTE_PORT, 0, 65_535], {
    tools: ['tardisd'],
    help: 'with --remote: TCP port for HTTP; 0 lets the system choose one',
  }),
  ...rowsFor(['tardisd', 'tardisremote'], 'server', {
    trustedProxies: row('texts', ['--trusted-proxies <address>', 'TrustedProxies'], {
      help: 'proxy whose headers X-Forwarded-For and X-Forwarded-Prefix are trusted: an address, or a block such as 10.0.0.0/8; may be repeated',
    }),
    compress: on(['--[no-]compress', 'Compress'], {
      help: 'compress JSON responses over HTTP, if the HTTP client accepts that',
    }),
    allowCache: on(['--[no-]allow-cache', 'AllowCache'], {
      help: 'let HTTP clients cache contents of complete sets for an hour',
    }),
  }),
} as const satisfies PartialTable);

const DAY_SECONDS = 86_400;

/** Settings of the server's monitoring: alerts for overdue clients, metrics, profiles. */
export const WATCH_ROWS = rowsFor(['tardisd'], 'server', {
  overdueSeconds: amount('seconds', '--overdue-after <seconds>', [0, 0, 999_999_999], {
    tools: ['tardis', 'tardisd', 'tardis-web', 'sonic clients', 'sonic status'],
    bothKey: 'OverdueAfter',
    help: 'a client is overdue this many seconds after the end of its newest complete set; 0: never. Without it, commands call a client late by the interval of its server, else after two and a half times the usual distance of its backups',
  }),
  overdueFor: row('texts', ['--overdue-for <client=seconds>', 'OverdueFor'], {
    help: 'overdue time of one client, in place of --overdue-after; may be repeated',
  }),
  hookOverdue: row('command', ['--hook-overdue <command>', 'HookOverdue'], {
    help: 'command to run for each client that has become overdue',
  }),
  watchSeconds: amount('seconds', 'WatchInterval', [300, 1, DAY_SECONDS], {
    help: 'seconds between two checks of all clients, for overdue clients and for metrics',
  }),
  metricsFile: row('path', ['--metrics-file <file>', 'MetricsFile'], {
    help: 'write metrics to this file, in OpenMetrics format, for a textfile collector (its name should end in .prom)',
  }),
  metricsPort: row('int', ['--metrics-port <n>', 'MetricsPort'], {
    range: [0, 65_535],
    help: 'serve metrics over HTTP at /metrics on this port; 0: any free port',
  }),
  metricsAddress: row('text', ['--metrics-address <ip>', 'MetricsAddress'], {
    default: '127.0.0.1',
    help: 'address of this machine for --metrics-port; anyone who can connect to it can read names and metrics of all clients',
  }),
  profileSessions: row('bool', ['--profile-sessions', 'Profile'], {
    help: 'write a CPU profile of each session to .profiles in the store, in a format that Chrome and some editors can open',
  }),
  profilesKept: amount('int', 'ProfilesKept', [20, 1, 1000], {
    help: 'number of the newest session profiles to keep',
  }),
} as const satisfies PartialTable);
