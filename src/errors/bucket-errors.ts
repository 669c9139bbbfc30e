/** Errors of stores in buckets (S3). */
import { row } from './error-row.js';

export const BUCKET_ERRORS = {
  CREDENTIALS_MISSING: row(
    'user',
    1,
    'Give the access key as other S3 tools take it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials (AWS_PROFILE); docs/buckets.md lists all ways.',
  ),
  CREDENTIALS_REFUSED: row(
    'user',
    12,
    'Check access key, secret key and session token, and that they belong to this endpoint; the source of the key is named above.',
  ),
  CLOCK_WRONG: row(
    'environment',
    1,
    'Set the clock of this machine (timedatectl set-ntp true), then run again: buckets refuse requests whose time is wrong by more than 15 minutes.',
  ),
  NO_SUCH_BUCKET: row(
    'user',
    10,
    'Check the name of the bucket and the endpoint, or create the bucket with the tools of its provider; this program creates none.',
  ),
  BUCKET_REGION_WRONG: row('user', 1, 'Set the region that is named (--region).'),
  BUCKET_DENIED: row(
    'user',
    1,
    'Give this access key the rights to list the bucket and to read, create and delete objects below the prefix (docs/buckets.md has a policy), or check that no lock protects the object.',
  ),
  BUCKET_FULL: row(
    'environment',
    1,
    'Raise the quota of the bucket or of its user, or free space at the provider, then run again; what was acknowledged is kept.',
  ),
  BUCKET_UNREACHABLE: row(
    'environment',
    1,
    'Check the endpoint (--endpoint), the network and the name server, then run again.',
  ),
  BUCKET_CERTIFICATE_REFUSED: row(
    'user',
    1,
    'Name the file with the certificate of the authority that signed the certificate of the endpoint (--bucket-ca), or check --endpoint: somebody may intercept the connection.',
  ),
  BUCKET_SLOW: row(
    'environment',
    1,
    'Run again later: the endpoint did not answer in time, or it limits requests. If this happens often, ask its operator.',
  ),
  BUCKET_FAILED: row(
    'environment',
    1,
    'Run again later; if this happens again, ask the operator of the endpoint. The message contains its answer.',
  ),
  BUCKET_OUTCOME_UNKNOWN: row(
    'environment',
    1,
    'Run again: the endpoint did not report whether it stored the object. Nothing that was acknowledged is lost.',
  ),
  BUCKET_ANSWER_INVALID: row(
    'protocol',
    1,
    'Check that the endpoint is an S3 interface and not a proxy or a login page; otherwise it is broken or hostile.',
  ),
  BUCKET_UNSAFE: row(
    'user',
    1,
    'Use a service that honours If-None-Match (docs/buckets.md has a table). If no other machine will ever write to this bucket, --single-writer allows one writer.',
  ),
  BUCKET_CANNOT_LOCK: row(
    'user',
    1,
    'Create a bucket with Object Lock at a service that has it, and use that one; or set LockDays to 0: with the access key, the backups can then be deleted (docs/buckets.md, "Locks").',
  ),
  OBJECT_DAMAGED: row(
    'damage',
    1,
    'Restore the object that is named from its parity (sonic check --repair), a copy, or an older version of it (sonic bucket --recover): its bytes differ from those that were stored.',
  ),
} as const;
