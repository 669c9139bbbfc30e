/** Settings of stores in buckets (S3). A missing endpoint or region is taken from the environment of other S3 tools. */
import { amount, choice, forTools, type PartialTable, row, rowsFor } from './row.js';
import { BACKUPS, MARKING, READERS, REPORTING, type Tool, ofSonic } from './tools.js';

/** Commands that work with a bucket. */
export const BUCKET_TOOLS = [
  ...BACKUPS,
  'tardisd',
  'tardisremote',
  ...READERS,
  ...ofSonic('account', 'create', 'check', 'clients', 'copy', 'export', 'delete', 'purge'),
  ...ofSonic('orphans', 'setpass', 'chpass', 'rotate', 'rekey', 'encrypt', 'forget-path'),
  ...ofSonic('setconfig', 'rebuild', 'keys', 'upgrade'),
  ...MARKING,
  ...REPORTING,
  'sonic bucket',
  'sonic setup',
] as const satisfies readonly Tool[];

/**
 * Commands that store packs or commits, in a directory or a bucket. regenerate and tardis-web do so when they mark
 * damage.
 */
const PARITY_TOOLS = [
  ...BACKUPS,
  'tardisd',
  'regenerate',
  'tardis-web',
  ...ofSonic('check', 'copy', 'export', 'delete', 'purge', 'orphans', 'rekey', 'encrypt'),
  ...ofSonic('forget-path', 'rebuild', 'setconfig'),
  ...MARKING,
] as const satisfies readonly Tool[];

/**
 * Hides settings that only concern writing from the help of commands that only read a bucket. regenerate and tardis-web
 * are not among these commands, since they mark damage.
 */
const UNLISTED_IN_READERS = forTools(
  ['lstardis', 'tardiff', 'tardisfs', ...REPORTING, 'sonic clients'],
  { isUnlisted: true },
);

export const BUCKET_ROWS = rowsFor(BUCKET_TOOLS, 'both', {
  endpoint: row('text', ['--endpoint <url>', 'Endpoint', 'TARDIS_ENDPOINT'], {
    help: 'URL of the S3 interface (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, endpoint_url of the profile, or the endpoint of AWS for the region)',
  }),
  region: row('text', ['--region <name>', 'Region', 'TARDIS_REGION'], {
    help: 'region of the bucket (default: AWS_REGION, AWS_DEFAULT_REGION, the profile, or us-east-1)',
  }),
  addressing: choice(['--addressing <where>', 'Addressing'], ['auto', 'path', 'host'], {
    help: "position of the bucket's name in the URL: path, host, or auto (host at AWS, otherwise path)",
  }),
  bucketCa: row('path', ['--bucket-ca <file>', 'BucketCA', 'TARDIS_BUCKET_CA'], {
    help: 'certificates (PEM) of authorities to trust for the endpoint, instead of those that this machine trusts',
  }),
  singleWriter: row('bool', ['--[no-]single-writer', 'SingleWriter', 'TARDIS_SINGLE_WRITER'], {
    perTool: UNLISTED_IN_READERS,
    help: 'allow a bucket that ignores If-None-Match; at most one process may then write to it at a time',
  }),
  lockDays: amount('int', ['--lock-days <days>', 'LockDays', 'TARDIS_LOCK_DAYS'], [0, 0, 3650], {
    perTool: UNLISTED_IN_READERS,
    help: 'days for which nobody can delete what is stored in a bucket (Object Lock, COMPLIANCE); 0 for no lock',
  }),
  parityPercent: row('int', ['--parity <percent>', 'Parity', 'TARDIS_PARITY'], {
    range: [0, 50],
    defaultText: '3, and 0 in a bucket',
    tools: PARITY_TOOLS,
    help: 'percentage of parity stored with the packs, from which `sonic check --repair` restores damaged bytes; 0: none',
  }),
  ...rowsFor(['sonic bucket'], 'client', {
    recoverVersions: row('bool', '--recover', {
      help: 'restore overwritten or deleted objects from their oldest versions',
    }),
    previewRecover: row('bool', '-n, --dry-run', {
      help: 'with --recover: only show what would be done',
    }),
    recoverTo: row('place', '--to <place>', {
      help: 'with --recover: copy the store to s3://BUCKET/PREFIX at the same endpoint, and leave the original unchanged',
    }),
    recoverBefore: row('text', '--before <date>', {
      help: 'with --recover and --to: copy the store as it was before that time',
    }),
    extendLocks: row('bool', '--extend', {
      help: 'renew locks that have less than half of --lock-days left, except those of packs that no set needs',
    }),
    accountFiles: row('path', '--accounts <dir>', {
      help: 'replace all account files of the store (owned clients, quotas) with those in this directory',
    }),
  }),
  nodeAddress: row('text', '--node-address <host>', {
    tools: ['tardisd'],
    serverKey: 'NodeAddress',
    defaultText: 'the name of this machine, and --port',
    help: 'with a store in a bucket: address (HOST or HOST:PORT) of this server itself, not of a load balancer; other servers of the same bucket redirect clients to it',
  }),
  refreshSeconds: amount('seconds', ['--refresh <seconds>', 'Refresh'], [30, 1, 86_400], {
    tools: ['tardisfs', 'tardis-web', 'tardisremote'],
    help: 'with a store in a bucket: seconds between checks for new data from other machines; each check takes two requests',
  }),
} as const satisfies PartialTable);
