/** Settings that several commands share: the store, the client, the files, the output, passwords and the connection. */
import os from 'node:os';
import { RECENT_SET } from '../model/index.js';
import { amount, choice, commonRow, forTools, on, type PartialTable, row, rowsFor } from './row.js';
import {
  ACCOUNT_TOOLS,
  BACKUPS,
  BOTH_ENDS,
  CLIENT_TOOLS,
  CONNECTING,
  KEY_MAKERS,
  KEYS_TOOLS,
  MARKING,
  PASSWORD_TOOLS,
  READERS,
  REMOTE_SONIC,
  TOOLS,
  ofSonic,
} from './tools.js';

export const DEFAULT_PORT = 7420;
const MIB = 1 << 20;
const DEFAULT_STORE = '/srv/tardis';

/** Commands of `sonic` that can also read through a tardisremote. */
const REPORT_TOOLS = ['sonic files', 'sonic info', 'sonic stats', 'sonic getconfig'] as const;
const THROUGH_SERVER =
  'work through a tardisd (HOST[:PORT], ssh://HOST/PLACE, or the path of a unix socket) instead of opening the store here';

/** Settings of the store, the client, the configuration files, the output and the connection. */
export const COMMON_ROWS = rowsFor(CLIENT_TOOLS, 'client', {
  database: commonRow('place', ['-D, --database <dir>', 'TARDIS_DB'], {
    default: DEFAULT_STORE,
    tools: TOOLS,
    clientKey: 'Database',
    serverKey: 'BaseDir',
    remoteKey: 'Database',
    repeatedTo: 'otherStores',
    perTool: {
      ...forTools(CLIENT_TOOLS, {
        defaultText: `that of \`tardis setup\`, otherwise ${DEFAULT_STORE}`,
      }),
      'sonic setup': { defaultText: 'what is set up already, otherwise a question' },
    },
    help: 'directory of the store, or s3://BUCKET/PREFIX for one in a bucket (not in all commands: docs/server/buckets.md)',
  }),
  client: commonRow('text', ['-C, --client <name>', 'Client', 'TARDIS_CLIENT'], {
    default: () => os.hostname(),
    defaultText: 'that of `tardis setup`, otherwise the host name',
    perTool: { 'sonic setup': { defaultText: 'what is set up already, otherwise the host name' } },
    help: 'name of the backed-up machine',
  }),
  repository: row('path', ['-R, --repository <place>', 'Repository', 'TARDIS_REPO'], {
    help: 'DIRECTORY/CLIENT, s3://BUCKET/CLIENT, tardis://HOST[:PORT]/CLIENT or ssh://HOST/PLACE/CLIENT, in place of --database or --server and --client, as in later releases of Tardis (Python)',
  }),
  repo: row('path', '--repo <place>', {
    isUnlisted: true,
    standsFor: 'repository',
    help: 'another name of --repository',
  }),
  baseDirectory: row('place', 'TARDIS_BASEDIR', {
    tools: ['tardisd', 'tardisremote'],
    standsFor: 'database',
    help: 'another name of TARDIS_DB',
  }),
  ...rowsFor(BOTH_ENDS, 'both', {
    port: amount('int', ['--port <n>', 'Port', 'TARDIS_PORT'], [DEFAULT_PORT, 0, 65_535], {
      perTool: {
        tardisd: { isCommon: true, help: 'TCP port to listen on; 0 lets the system choose one' },
      },
      help: 'TCP port of the server',
    }),
    timeoutSeconds: amount(
      'seconds',
      ['--timeout <seconds>', 'Timeout', 'TARDIS_TIMEOUT'],
      [300, 0.1, 86_400],
      { help: 'seconds without a message after which a connection is closed' },
    ),
  }),
  reconnectSeconds: amount('seconds', ['--reconnect <seconds>', 'Reconnect'], [600, 0, 604_800], {
    tools: ['tardis', ...READERS, 'sonic copy', 'sonic export'],
    help: 'seconds to keep trying to connect, at the start or when a connection is lost; 0: do not retry',
  }),
  catalogFile: row('name', 'TARDIS_DBNAME', {
    default: 'tardis.db',
    tools: TOOLS,
    serverKey: 'DBName',
    help: 'name of the catalog in each client directory',
  }),
  configFiles: row('paths', ['--config <file>', 'TARDIS_CONFIG'], {
    perTool: forTools(['sonic setup'], { isUnlisted: true }),
    defaultText:
      'the file of `tardis setup`, ~/.config/tardis/backup.cfg, if no store and no server is named',
    help: 'client configuration file; may be repeated: later files take precedence',
  }),
  job: row('text', ['--job <name>', 'TARDIS_JOB'], {
    default: 'Tardis',
    perTool: forTools(['sonic setup'], { isUnlisted: true }),
    help: 'section of the configuration file to read',
  }),
  defaultsFile: row('path', 'TARDIS_DEFAULTS', {
    default: '/etc/tardis/system.defaults',
    tools: TOOLS,
    help: 'file with defaults for the variables; the default file is read if it exists; empty: none',
  }),
  progress: row('bool', '--[no-]progress', {
    default: undefined,
    tools: [
      ...BACKUPS,
      'regenerate',
      ...ofSonic('check', 'rebuild', 'rekey', 'encrypt', 'copy', 'export', 'delete', 'purge'),
      ...ofSonic('forget-path', 'orphans', 'bucket'),
    ],
    help: 'show progress (default: only on a terminal)',
  }),
  profile: choice(['--profile <name>', 'TARDIS_PROFILE'], ['auto', 'pi', 'desktop'], {
    tools: ['tardisd', 'regenerate', ...KEY_MAKERS],
    bothKey: 'TuningProfile',
    isTuning: true,
    help: 'kind of machine to tune for: pi, desktop, or auto (by processors and memory)',
  }),
  workers: row('int', ['--workers <n>', 'Workers'], {
    range: [0, 64],
    default: () => Math.min(os.availableParallelism(), 8),
    defaultText: 'number of processors, at most 8',
    tools: [...BACKUPS, 'regenerate', 'sonic export', 'tardisfs', 'tardis-web'],
    isTuning: true,
    help: 'worker threads; 0: use the main thread, and for small files one thread of Node.js',
  }),
  backup: commonRow('text', '-b, --backup <set>', {
    tools: ['regenerate', 'lstardis'],
    perTool: {
      lstardis:
        'list this set (number, name or tag; default: the newest complete set, and all sets for versions, --find and the list of sets)',
    },
    help: 'read this set (number, name or tag; default: the newest complete set)',
  }),
  recentSet: row('text', 'TARDIS_RECENT_SET', {
    default: RECENT_SET,
    tools: [
      'tardis',
      'regenerate',
      'lstardis',
      'tardiff',
      'tardisfs',
      ...ofSonic('export', 'delete', 'files', 'info'),
      ...MARKING,
    ],
    help: 'name that stands for the newest complete set',
  }),
  json: commonRow('bool', '--json', {
    tools: TOOLS,
    perTool: forTools(
      ['tardisd', 'tardisremote'],
      'print the address as JSON when the server is ready; with --explain-config, print the settings as JSON',
    ),
    help: 'print results as JSON; with --explain-config, print the settings as JSON',
  }),
  explainConfig: row('bool', '--explain-config', {
    tools: TOOLS,
    help: 'print each setting and where it comes from, and do nothing else',
  }),
} as const satisfies PartialTable);

/** Settings of passwords, logins and TLS. */
export const LOGIN_ROWS = rowsFor(PASSWORD_TOOLS, 'client', {
  password: commonRow('text', ['-P, --password[=password]', 'Password'], {
    preset: '',
    isSecret: true,
    help: 'password of the client; without a value, prompt for it on the terminal; with --password=… every user of the machine can see it',
  }),
  passwordFile: commonRow('path', ['-F, --password-file <path|url>', 'PasswordFile'], {
    variable: 'TARDIS_PASSWORD_FILE',
    help: 'file whose first line is the password; or a URL (file:, https:, or http: to this machine)',
  }),
  olderPasswordFile: row('path', 'TARDIS_PWFILE', {
    standsFor: 'passwordFile',
    help: 'another name of TARDIS_PASSWORD_FILE',
  }),
  passwordProg: row('command', ['--password-prog <command>', 'PasswordProg'], {
    variable: 'TARDIS_PASSWORD_PROG',
    help: 'program whose first line of output is the password',
  }),
  crypt: on(['--[no-]crypt', 'Crypt'], {
    tools: [...BACKUPS, 'sonic create'],
    help: 'encrypt the backups of a new client if it has a password; no effect on existing clients',
  }),
  account: row('text', ['--account <name>', 'Account'], {
    tools: ACCOUNT_TOOLS,
    help: 'log in with this account of the client, which has a password and rights of its own',
  }),
  ...rowsFor(['sonic account'], 'client', {
    addAccount: row('text', '--add <name>', {
      help: 'create an account with the rights in --rights and a password of its own',
    }),
    changeAccount: row('text', '--change <name>', {
      help: 'replace the rights of an account with those in --rights',
    }),
    removeAccount: row('text', '--remove <name>', {
      help: 'remove an account, so that nobody can log in with it any more',
    }),
    accountRights: row('text', '--rights <list>', {
      help: 'rights of the account, separated by commas: add, read, list, purge, admin, quota',
    }),
    accountQuota: row('size', '--quota <size>', {
      range: [0, Number.MAX_SAFE_INTEGER],
      default: undefined,
      help: 'change the space quota (SpaceQuota) of the account file that owns the client, for all of its clients together; 0: no quota',
    }),
    accountToken: row('bool', '--token', {
      help: 'with --add: create an account for a program. It has no password; a token for tardisremote is printed instead',
    }),
  }),
  trustStore: row('bool', '--trust-store', {
    tools: CLIENT_TOOLS,
    help: 'accept a store whose keys have changed, that is no longer encrypted, or that is older than this machine remembers. This machine then remembers the store as it is now. So it cannot detect that somebody replaced the store, and data that an older store lacks is lost',
  }),
  keysFile: row('path', ['--keys <file>', 'KeyFile', 'TARDIS_KEYFILE'], {
    tools: KEYS_TOOLS,
    perTool: { 'sonic keys': 'key file to write or read; do not lose this file' },
    help: 'file with the wrapped keys, used instead of the keys in the store; do not lose this file',
  }),
  ...rowsFor(['sonic keys'], 'client', {
    extractKeys: row('bool', '--extract', {
      help: 'write the wrapped keys from the store into the file of --keys',
    }),
    insertKeys: row('bool', '--insert', {
      help: 'put the wrapped keys from the file of --keys into the store',
    }),
    printKeys: row('path', '--pdf <file>', {
      help: 'write a PDF with the wrapped keys, as text and QR code, to print and keep in a safe place',
    }),
    showKeys: row('bool', '--qr', { help: 'show the wrapped keys as a QR code on the terminal' }),
    removeKeys: row('bool', '--remove', {
      help: 'with --extract: remove the keys from the store, so that nothing can be read or backed up without the file',
    }),
  }),
  passwordMemoryBytes: amount(
    'size',
    '--password-memory <size>',
    [128 * MIB, 16 * MIB, 256 * MIB],
    {
      tools: KEY_MAKERS,
      key: 'PasswordMemory',
      variable: 'TARDIS_PASSWORD_MEMORY',
      isTuning: true,
      help: 'memory needed to derive the keys from a password (more makes guessing harder); a power of two; applies to passwords set from now on',
    },
  ),
  ...rowsFor(['sonic chpass', 'sonic rekey', 'sonic account', 'tardis-web'], 'client', {
    newPassword: row('text', '--newpassword[=password]', {
      preset: '',
      isSecret: true,
      perTool: {
        'sonic rekey': 'set this new password; without a value, prompt for it',
        'sonic account':
          'with --add: password of the account; without a value, prompt for it (the default)',
        'tardis-web':
          'set the password by which a browser signs in to this page, and end; without a value, prompt for it',
      },
      help: 'new password; without a value, prompt for it (the default)',
    }),
    newPasswordFile: row('path', '--newpassword-file <path|url>', {
      help: 'file or URL with the new password',
    }),
    newPasswordProg: row('command', '--newpassword-prog <command>', {
      help: 'program that prints the new password',
    }),
  }),
  throughServer: commonRow('text', ['--server <host>', 'Server'], {
    tools: REMOTE_SONIC,
    perTool: forTools(
      REPORT_TOOLS,
      `${THROUGH_SERVER}, or through a tardisremote (https://HOST:7430/)`,
    ),
    help: THROUGH_SERVER,
  }),
  ssl: row('bool', '--[no-]ssl', {
    default: undefined,
    defaultText: 'yes, unless --insecure-tcp or --insecure-network is given',
    perTool: forTools(['tardisd', 'tardisremote'], {
      defaultText: 'yes, unless --local, --insecure-tcp or --insecure-network is given',
    }),
    tools: ['tardisremote', ...BOTH_ENDS],
    bothKey: 'SSL',
    help: 'use TLS 1.3 between client and server',
  }),
  validateCerts: row('bool', ['--[no-]validate-certs', 'TARDIS_VALIDATE_CERTS'], {
    default: undefined,
    defaultText: 'yes, unless a password authenticates the server',
    tools: CONNECTING,
    help: 'accept only a certificate that this machine trusts',
  }),
  insecureTcp: row('bool', '--insecure-tcp', {
    tools: ['tardisremote', ...BOTH_ENDS],
    help: 'allow plain TCP over loopback',
  }),
  insecureNetwork: row('bool', '--insecure-network', {
    tools: ['tardisremote', ...BOTH_ENDS],
    help: 'allow plain TCP to other machines; anybody on the network path can read and change the data',
  }),
  ...rowsFor(['tardisd'], 'server', {
    listenAddress: row('text', ['--address <ip>', 'Address'], {
      defaultText: 'all addresses with TLS, otherwise 127.0.0.1',
      tools: ['tardisd', 'tardisremote'],
      help: 'address to listen on; any other than loopback needs --ssl or --insecure-network',
    }),
    certFile: commonRow('path', ['--certfile <file>', 'CertFile'], {
      tools: ['tardisd', 'tardisremote', 'tardis-web', 'sonic create'],
      defaultText: 'one of its own, ~/.config/tardis/tardisd-cert.pem, made at the first start',
      help: 'certificate for TLS, with its chain (PEM)',
    }),
    keyFile: commonRow('path', ['--keyfile <file>', 'KeyFile'], {
      tools: ['tardisd', 'tardisremote', 'tardis-web'],
      defaultText: '~/.config/tardis/tardisd-key.pem, if no certificate is named',
      help: 'private key for TLS (PEM)',
    }),
    makeCertificate: commonRow('bool', ['--make-certificate', 'MakeCertificate'], {
      tools: ['tardisd', 'tardisremote'],
      help: 'create a self-signed certificate for --certfile and --keyfile if neither exists (with the openssl command)',
    }),
    requirePassword: row('bool', ['--require-password', 'RequirePassword'], {
      help: 'refuse clients without a password',
    }),
    loginTimeoutSeconds: amount('seconds', 'LoginTimeout', [60, 0.1, 3600], {
      help: 'seconds after which a connection that has not logged in is closed',
    }),
  }),
} as const satisfies PartialTable);
