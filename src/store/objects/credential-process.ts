/** Runs the command of a profile that prints credentials (credential_process). */
import { execFile } from 'node:child_process';
import { requireOwnFile, splitWords } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { textBytes } from '../../system/index.js';
import type { AwsProfile } from './aws-files.js';
import type { Credentials } from './credentials.js';
import { readGranted } from './granted-credentials.js';

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 << 10;

/**
 * Returns the credentials; undefined if the profile has no command. Throws CREDENTIALS_MISSING if the command fails or
 * prints no credentials, and CONFIG_UNSAFE if this process is root and another user can change the command.
 */
export async function fromProcess(profile: AwsProfile): Promise<Credentials | undefined> {
  const { name, process, processFile } = profile;
  if (process === undefined || process === '') return undefined;
  const where = `credential_process of the profile "${name}"`;
  requireOwnFile(textBytes(processFile), where);
  const found = readGranted(await outputOf(process, where), 'SessionToken', `the ${where}`);
  if (found !== undefined) return found;
  throw new TardisError('CREDENTIALS_MISSING', `${where} printed no credentials`);
}

/**
 * Runs a command without a shell and returns its output. Throws CREDENTIALS_MISSING if it fails. The output is never
 * printed, since it has secrets.
 */
async function outputOf(line: string, where: string): Promise<string> {
  const [command = '', ...words] = splitWords(line, where);
  return new Promise((resolve, reject) => {
    const limits = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, windowsHide: true };
    const child = execFile(command, words, limits, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new TardisError('CREDENTIALS_MISSING', `${where} failed: ${whyOf(error)}`));
    });
    child.stdin?.end();
  });
}

/** Returns the reason why a command failed. The text contains neither the command's words nor its output. */
function whyOf({
  code,
  killed,
  signal,
}: Error & { code?: unknown; killed?: boolean; signal?: unknown }): string {
  if (killed === true) return `it ran longer than ${TIMEOUT_MS / 1000} s, or printed too much`;
  return typeof signal === 'string' ? `killed by ${signal}` : `status ${String(code)}`;
}
