/** Settings of stores in buckets (S3). What is not given comes from the environment of other S3 tools. */
import type { SettingTable } from './row.js';
import { MARKING, REPORTING, type Tool } from './tools.js';

/** Commands that work with a bucket. The others need a directory as their store. */
export const BUCKET_TOOLS = [
  'tardis',
  'tardisd',
  'lstardis',
  'regenerate',
  'tardiff',
  'sonic list',
  'sonic check',
  'sonic clients',
  'sonic copy',
  'sonic delete',
  'sonic purge',
  'sonic orphans',
  'sonic diff',
  'sonic chpass',
  'sonic rotate',
  'sonic setconfig',
  ...MARKING,
  ...REPORTING,
  'sonic bucket',
] as const satisfies readonly Tool[];

export const BUCKET_ROWS = {
  endpoint: {
    type: 'text',
    tools: BUCKET_TOOLS,
    flags: '--endpoint <url>',
    variable: 'TARDIS_ENDPOINT',
    clientKey: 'Endpoint',
    help: 'URL of the S3 interface (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile, or that of AWS)',
    test: 'sonic bucket finds its endpoint and region by option, variable and key',
  },
  region: {
    type: 'text',
    tools: BUCKET_TOOLS,
    flags: '--region <name>',
    variable: 'TARDIS_REGION',
    clientKey: 'Region',
    help: 'region of the bucket (default: AWS_REGION, AWS_DEFAULT_REGION, the profile, or us-east-1)',
    test: 'sonic bucket finds its endpoint and region by option, variable and key',
  },
  addressing: {
    type: 'choice',
    choices: ['auto', 'path', 'host'],
    default: 'auto',
    tools: BUCKET_TOOLS,
    flags: '--addressing <where>',
    clientKey: 'Addressing',
    help: 'where the name of the bucket is in its URL: path, host, or auto (host at AWS, otherwise path)',
    test: 'sonic bucket puts the name of the bucket where it is told to',
  },
  bucketCa: {
    type: 'path',
    tools: BUCKET_TOOLS,
    flags: '--bucket-ca <file>',
    variable: 'TARDIS_BUCKET_CA',
    clientKey: 'BucketCA',
    help: 'certificates (PEM) that the endpoint is checked with, instead of those that this machine trusts',
    test: 'sonic bucket trusts the authority it is given, and no other',
  },
  singleWriter: {
    type: 'bool',
    default: false,
    tools: BUCKET_TOOLS,
    flags: '--single-writer',
    negatable: true,
    variable: 'TARDIS_SINGLE_WRITER',
    clientKey: 'SingleWriter',
    help: 'allow a bucket that ignores If-None-Match; at most one process may then write to it at a time',
    test: 'sonic bucket refuses a store that does not arbitrate, unless there is a single writer',
  },
} as const satisfies SettingTable;
