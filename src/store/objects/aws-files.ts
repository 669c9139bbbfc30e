/** Reads the files that S3 tools share: ~/.aws/credentials and ~/.aws/config. */
import path from 'node:path';
import { configInvalid, parseIni } from '../../config/index.js';
import { failedTo, systemCode, TardisError } from '../../errors/index.js';
import { byteText, homeDirectory, readSmallFile, textBytes } from '../../system/index.js';
import type { Environment } from './credentials.js';

const MAX_FILE_BYTES = 1 << 20;

/** The fields of a profile; each may be missing. */
export interface AwsProfile {
  readonly name: string;
  /** The directory of the files, unless variables name them. */
  readonly home: string;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** Command line that prints credentials. */
  readonly process?: string | undefined;
  /** The file that has the command. */
  readonly processFile: string;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  /** Key of the profile that selects a login method which is not supported. */
  readonly unsupported?: string | undefined;
}

/** Keys of login methods that need a further service. */
const UNSUPPORTED = ['role_arn', 'sso_session', 'sso_start_url', 'web_identity_token_file'];

/**
 * Returns the profile that AWS_PROFILE or AWS_DEFAULT_PROFILE names, otherwise `default`. Throws CONFIG_INVALID if the
 * named profile does not exist, or a file cannot be read.
 */
export function readProfile(environment: Environment): AwsProfile {
  const name = environment['AWS_PROFILE'] || environment['AWS_DEFAULT_PROFILE'] || 'default';
  const home = path.join(homeDirectory(environment['HOME']), '.aws');
  const secrets = environment['AWS_SHARED_CREDENTIALS_FILE'] || path.join(home, 'credentials');
  const config = environment['AWS_CONFIG_FILE'] || path.join(home, 'config');
  const own = sectionOf(secrets, [name]);
  const fields = new Map([
    ...sectionOf(config, [`profile ${name}`, ...(name === 'default' ? [name] : [])]),
    ...own,
  ]);
  if (fields.size === 0 && name !== 'default') {
    throw configInvalid(`there is no profile "${name}" (AWS_PROFILE) in ${secrets} or ${config}`);
  }
  return {
    name,
    accessKeyId: fields.get('aws_access_key_id'),
    secretAccessKey: fields.get('aws_secret_access_key'),
    sessionToken: fields.get('aws_session_token'),
    home,
    process: fields.get('credential_process'),
    processFile: own.some(([key]) => key === 'credential_process') ? secrets : config,
    region: fields.get('region'),
    endpoint: fields.get('endpoint_url'),
    unsupported: UNSUPPORTED.find((key) => fields.has(key)),
  };
}

/** Returns the fields of the first section whose name is in `names`; none if the file does not exist. */
function sectionOf(file: string, names: readonly string[]): [string, string][] {
  const text = textOf(file);
  const sections = text === undefined ? [] : sectionsIn(text, file);
  const found = names
    .map((name) => sections.find((section) => section.name === name))
    .find((section) => section !== undefined);
  return (found?.entries ?? []).map((entry) => [entry.key.toLowerCase(), entry.text.trim()]);
}

function sectionsIn(text: string, file: string): ReturnType<typeof parseIni> {
  try {
    return parseIni(text, file);
  } catch (error) {
    // The message may quote a line with a secret; the number of the line is enough.
    const line = /:(\d+): /.exec(error instanceof TardisError ? error.message : '')?.[1] ?? '?';
    throw configInvalid(`${file}:${line}: this line cannot be read`);
  }
}

function textOf(file: string): string | undefined {
  try {
    return byteText(readSmallFile(textBytes(file), MAX_FILE_BYTES));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failedTo(`read ${file}`, error, 'useNamedFile');
  }
}
