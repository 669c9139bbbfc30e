/** Settings of stores in buckets (S3). A missing endpoint or region is taken from the environment of other S3 tools. */
import { amount, forTools, type PartialTable, row, rowsFor } from './row.js';
import { BACKUPS, MARKING, READERS, REPORTING, type Tool } from './tools.js';

/** Commands that work with a bucket. */
export const BUCKET_TOOLS = [
  ...BACKUPS,
  'tardisd',
  'tardisremote',
  ...READERS,
  'sonic account',
  'sonic create',
  'sonic check',
  'sonic clients',
  'sonic copy',
  'sonic export',
  'sonic delete',
  'sonic purge',
  'sonic orphans',
  'sonic setpass',
  'sonic chpass',
  'sonic rotate',
  'sonic rekey',
  'sonic encrypt',
  'sonic forget-path',
  'sonic setconfig',
  'sonic rebuild',
  'sonic keys',
  'sonic upgrade',
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
  'sonic check',
  'sonic copy',
  'sonic export',
  'sonic delete',
  'sonic purge',
  'sonic orphans',
  'sonic rekey',
  'sonic encrypt',
  'sonic forget-path',
  'sonic rebuild',
  'sonic setconfig',
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

export const BUCKET_ROWS = rowsFor({ tools: BUCKET_TOOLS }, {
  endpoint: row('text', '--endpoint <url>', {
    variable: 'TARDIS_ENDPOINT',
    bothKeys: 'Endpoint',
    help: 'URL of the S3 interface (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, endpoint_url of the profile, or the endpoint of AWS for the region)',
  }),
  region: row('text', '--region <name>', {
    variable: 'TARDIS_REGION',
    bothKeys: 'Region',
    help: 'region of the bucket (default: AWS_REGION, AWS_DEFAULT_REGION, the profile, or us-east-1)',
  }),
  addressing: row('choice', '--addressing <where>', {
    choices: ['auto', 'path', 'host'],
    default: 'auto',
    bothKeys: 'Addressing',
    help: "position of the bucket's name in the URL: path, host, or auto (host at AWS, otherwise path)",
  }),
  bucketCa: row('path', '--bucket-ca <file>', {
    variable: 'TARDIS_BUCKET_CA',
    bothKeys: 'BucketCA',
    help: 'certificates (PEM) of authorities to trust for the endpoint, instead of those that this machine trusts',
  }),
  singleWriter: row('bool', '--[no-]single-writer', {
    variable: 'TARDIS_SINGLE_WRITER',
    bothKeys: 'SingleWriter',
    perTool: UNLISTED_IN_READERS,
    help: 'allow a bucket that ignores If-None-Match; at most one process may then write to it at a time',
  }),
  lockDays: amount('int', '--lock-days <days>', [0, 0, 3650], {
    variable: 'TARDIS_LOCK_DAYS',
    bothKeys: 'LockDays',
    perTool: UNLISTED_IN_READERS,
    help: 'days for which nobody can delete what is stored in a bucket (Object Lock, COMPLIANCE); 0 for no lock',
  }),
  parityPercent: row('int', '--parity <percent>', {
    range: [0, 50],
    defaultText: '3, and 0 in a bucket',
    tools: PARITY_TOOLS,
    variable: 'TARDIS_PARITY',
    bothKeys: 'Parity',
    help: 'percentage of parity stored with the packs, from which `sonic check --repair` restores damaged bytes; 0: none',
  }),
  recoverVersions: row('bool', '--recover', {
    tools: ['sonic bucket'],
    help: 'restore overwritten or deleted objects from their oldest versions',
  }),
  previewRecover: row('bool', '-n, --dry-run', {
    tools: ['sonic bucket'],
    help: 'with --recover: only show what would be done',
  }),
  recoverTo: row('place', '--to <place>', {
    tools: ['sonic bucket'],
    help: 'with --recover: copy the store to s3://BUCKET/PREFIX at the same endpoint, and leave the original unchanged',
  }),
  recoverBefore: row('text', '--before <date>', {
    tools: ['sonic bucket'],
    help: 'with --recover and --to: copy the store as it was before that time',
  }),
  extendLocks: row('bool', '--extend', {
    tools: ['sonic bucket'],
    help: 'renew locks that have less than half of --lock-days left, except those of packs that no set needs',
  }),
  accountFiles: row('path', '--accounts <dir>', {
    tools: ['sonic bucket'],
    help: 'replace all account files of the store (owned clients, quotas) with those in this directory',
  }),
  nodeAddress: row('text', '--node-address <host>', {
    tools: ['tardisd'],
    serverKey: 'NodeAddress',
    defaultText: 'the name of this machine, and --port',
    help: 'with a store in a bucket: address (HOST or HOST:PORT) of this server itself, not of a load balancer; other servers of the same bucket redirect clients to it',
  }),
  refreshSeconds: amount('seconds', '--refresh <seconds>', [30, 1, 86_400], {
    tools: ['tardisfs', 'tardis-web', 'tardisremote'],
    bothKeys: 'Refresh',
    help: 'with a store in a bucket: seconds between checks for new data from other machines; each check takes two requests',
  }),
} as const satisfies PartialTable);
