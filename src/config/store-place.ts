/**
 * Parses the place of a store: a directory, or a prefix of a bucket, and of a server that ssh reaches. All options, variables and keys that take a place
 * use this parser. It rejects the addresses of other programs, which would otherwise be names of new directories.
 */
import os from 'node:os';
import path from 'node:path';
import type { TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { byteText, hasStrayBytes, MAX_PORT, mountedPlace, textBytes } from '../system/index.js';
import { configInvalid } from './invalid.js';

export type StorePlace =
  | { readonly kind: 'directory'; readonly path: Buffer }
  | ({ readonly kind: 'bucket' } & BucketPlace);

export interface BucketPlace {
  readonly bucket: string;
  /** Empty, or a name without slashes at its ends. */
  readonly prefix: string;
}

export const BUCKET_SCHEME = 's3://';
const IS_BUCKET = /^s3:\/\//i;
/** Matches bucket names that AWS allows, and older names and those of other services. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
const PREFIX_PART = /^(?!\.{1,2}$)[A-Za-z0-9._=@,:~-]+$/;
/** Maximum length of a prefix: a key has 1,024 bytes, of which names within a store need up to 512. */
const MAX_PREFIX_BYTES = 512;

/** A server that `ssh` reaches, as ssh://[USER@]HOST[:PORT]/PLACE names it. */
export interface SshPlace {
  readonly user: string | undefined;
  /** Name, alias of ~/.ssh/config, or address without brackets; in small letters. */
  readonly host: string;
  readonly port: number | undefined;
  /** Path of the store on that machine; undefined for the one that its own configuration names. */
  readonly path: string | undefined;
}

const IS_SSH = /^ssh:\/\//i;
/** Characters of a user and of a host. None is special in a shell, and neither begins as an option does. */
const SSH_ADDRESS =
  /^(?:([A-Za-z0-9_][A-Za-z0-9_.+-]{0,63})@)?([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?\])(?::(\d{1,5}))?$/;
/** Characters that some shell treats specially also between single quotes, and control characters. */
const NOT_QUOTABLE = /['\\!\p{Cc}]/u;
const MAX_SSH_PATH_CHARS = 4096;
const SSH_FORM = 'ssh://HOST/PLACE, with USER@ before and :PORT after HOST if ssh needs them';

const ON_SERVER =
  'a store on another machine is used through its tardisd: --server ssh://USER@HOST/PLACE or --server HOST, and --to-server to copy there';

const ON_SHARE = 'mount the share, and write the path of the directory where it is mounted';

/** Beginnings of addresses of other kinds, with the right spelling. The first match counts. */
const OTHER_KINDS: readonly (readonly [RegExp, (text: string) => string])[] = [
  [/^s3:https?:\/\//i, () => 'write s3://BUCKET/PREFIX, and give the host by --endpoint URL'],
  [
    /^s3(?::|\/\/)/i,
    (text) => `write ${BUCKET_SCHEME}${text.replace(/^s3[:/]*/i, '')} for a bucket`,
  ],
  [/^file:/i, (text) => `write ${text.replace(/^file:(?:\/\/(?:localhost(?=\/))?)?/i, '')}`],
  [
    /^https?:/i,
    () =>
      'write s3://BUCKET/PREFIX for a bucket, with --endpoint URL; a server is named by --server',
  ],
  [IS_SSH, (text) => `write --server ${text}, or --to-server ${text} for the target of a copy`],
  [/^(?:ssh|sftp|rsync|rest|tardis):/i, () => ON_SERVER],
  [
    /^[a-z]:(?:[\\/]|$)/i,
    () => 'a path of Windows is no place here: write the path of the directory where it is mounted',
  ],
  [/^\\\\/, () => ON_SHARE],
  [
    /^\/\/[^/]/,
    (text) => `${ON_SHARE}; for a directory of that name, write /${text.replace(/^\/+/, '')}`,
  ],
  [/^[^/:]*:\/\//, () => 'a store is in a directory or in a bucket (s3://BUCKET/PREFIX)'],
  [/^[^/:]+@[^/:]+:|^[^/:]+:\//, () => ON_SERVER],
  [
    /^[^/]*:/,
    (text) =>
      `a store is in a directory or in a bucket (s3://BUCKET/PREFIX); write ./${text} for a directory of that name`,
  ],
];

/** True if the place of a store is a bucket. */
export function isBucketText(place: string): boolean {
  return IS_BUCKET.test(place);
}

/**
 * Returns the place of a store: a bucket if it begins with `s3://`, in capitals or not. `where` is the name of the
 * setting in errors. Throws CONFIG_INVALID for an address of another kind, and if the name or the prefix of a bucket is
 * malformed or too long.
 */
export function parsePlace(text: string, where: string): StorePlace {
  if (isBucketText(text)) return bucketPlace(text, where);
  const bytes = textBytes(text);
  if (text === '' || bytes.includes(0)) {
    throw wrong(where, text, 'a directory, or s3://BUCKET/PREFIX');
  }
  if (/^~[^/]*(?:\/|$)/.test(text)) throw refused(where, text, homeHint(text));
  const advice = OTHER_KINDS.find(([pattern]) => pattern.test(text))?.[1];
  if (advice !== undefined) throw refused(where, text, advice(text));
  return { kind: 'directory', path: bytes };
}

/**
 * Returns a place as bytes, the value of a setting: the path for which it stands now. A place in a file must be absolute, since the directory in which a
 * command runs must not decide where a store is. Throws CONFIG_INVALID as `parsePlace` does.
 */
export function placeBytes(text: string, where: string, isInFile: boolean): Buffer {
  const place = parsePlace(text, where);
  if (isInFile && place.kind === 'directory' && !path.isAbsolute(text)) {
    throw refused(where, text, 'a directory in a file is an absolute path, beginning with /');
  }
  return textBytes(mountedPlace(text));
}

/** Returns the place of a store beside the first one, as `placeBytes` does; it may also be a server that ssh reaches. */
export function otherPlaceBytes(text: string, where: string, isInFile: boolean): Buffer {
  if (!isSshText(text)) return placeBytes(text, where, isInFile);
  parseSshPlace(text, where);
  return textBytes(text);
}

/** True if a server is named by ssh://. */
export function isSshText(server: string): boolean {
  return IS_SSH.test(server);
}

/**
 * Returns the server that a text names, which begins with `ssh://`. `/~/` at the beginning of the path stands for the
 * home of the user there. `where` is the name of the setting in errors. Throws CONFIG_INVALID for a user, a host or a
 * path that could be an option or a command for a shell, and for a password.
 */
export function parseSshPlace(text: string, where: string): SshPlace {
  const [, address = '', path = ''] = /^ssh:\/\/([^/]*)(.*)$/is.exec(text) ?? [];
  const [, user, host, digits] = SSH_ADDRESS.exec(address) ?? [];
  if (/:.*@/.test(address)) {
    throw refused(where, text, 'no password has a place in it: ssh uses your keys, or prompts');
  }
  const port = digits === undefined ? undefined : Number(digits);
  if (host === undefined || port === 0 || (port ?? 1) > MAX_PORT) {
    throw refused(where, text, `write ${SSH_FORM}; other settings of ssh belong to ~/.ssh/config`);
  }
  if (NOT_QUOTABLE.test(path) || hasStrayBytes(path) || path.length > MAX_SSH_PATH_CHARS) {
    const why = 'its path has characters that a shell there could misread';
    throw refused(where, text, `${why}: leave it out, and set BaseDir in tardisd.cfg there`);
  }
  const isNone = path === '' || path === '/';
  return {
    user,
    host: host.toLowerCase().replace(/^\[(.*)\]$/, '$1'),
    port,
    path: isNone ? undefined : path.replace(/^\/~(?=\/|$)\/*/, './'),
  };
}

function bucketPlace(text: string, where: string): StorePlace {
  const [bucket = '', ...parts] = text.slice(BUCKET_SCHEME.length).replace(/\/+$/, '').split('/');
  if (!BUCKET.test(bucket)) {
    throw wrong(where, text, 's3://BUCKET/PREFIX with the name of a bucket');
  }
  if (!parts.every((part) => PREFIX_PART.test(part))) {
    throw wrong(where, text, 's3://BUCKET/PREFIX, its prefix of letters, digits and ._=@,:~-');
  }
  const prefix = parts.join('/');
  if (prefix.length > MAX_PREFIX_BYTES) throw wrong(where, text, 'shorter');
  return { kind: 'bucket', bucket, prefix };
}

/** Returns the advice for `~`, which only a shell replaces, and only at the beginning of a word. */
function homeHint(text: string): string {
  const isOwn = /^~(?:\/|$)/.test(text);
  const full = isOwn ? byteText(Buffer.from(os.homedir())) + text.slice(1) : 'the whole path';
  return `"~" is not replaced here: write ${full}, or ./${text} for a directory of that name`;
}

function refused(where: string, text: string, advice: string): TardisError {
  return configInvalid(`${where} is no place of a store: "${shown(text)}"; ${shown(advice)}`);
}

function wrong(where: string, text: string, wanted: string): TardisError {
  return configInvalid(`${where} must be ${wanted}, not "${shown(text)}"`);
}

/** Returns a text for display, without the password that an address of another program may contain. */
function shown(text: string): string {
  return displayText(text.replaceAll(/:\/\/(?!USER@)[^/@\s]*@/g, '://…@'));
}
