/**
 * Implements `sonic bucket --accounts DIR`: replaces the files of a store in a bucket that list the accounts with
 * their clients and quotas.
 */
import path from 'node:path';
import { configInvalid, type Settings } from '../../config/index.js';
import { displayName } from '../../model/index.js';
import {
  isClientName,
  MAX_ACCOUNT_BYTES,
  MAX_ACCOUNT_FILES,
  parseAccount,
  putAccountFiles,
} from '../../store/index.js';
import { absolutePath, byteText, readStart, type System } from '../../system/index.js';
import { print, printJson } from '../output/output.js';
import { formatBytes, formatTable } from '../output/units.js';
import type { OpenedPlace } from './bucket-place.js';

/**
 * Replaces all account files of the store by the files of a directory, and prints the accounts. Throws CONFIG_INVALID
 * for an error in a file.
 */
export async function runAccounts(
  system: System,
  { accountFiles, json }: Settings<'sonic bucket'>,
  { bucket }: OpenedPlace,
): Promise<void> {
  const files = filesIn(system, byteText(absolutePath(accountFiles!)));
  const accounts = [...files].map(([name, text]) => {
    const { account, fault } = parseAccount(name, text);
    if (fault !== undefined) throw fault;
    return account;
  });
  const owners = new Map<string, string>();
  for (const { name, targets } of accounts) {
    for (const target of targets) {
      const other = owners.get(target);
      if (other !== undefined) {
        throw configInvalid(`the client "${target}" is in two accounts: ${other}, ${name}`);
      }
      owners.set(target, name);
    }
  }
  await bucket.writers();
  const isChanged = await putAccountFiles(system, bucket.store, files);
  const shown = accounts.map(({ name, quotaBytes, targets }) => ({ name, quotaBytes, targets }));
  if (json) return printJson({ isChanged, accounts: shown });
  print(
    isChanged
      ? 'These are the accounts of the store now:'
      : 'The store has these accounts already:',
  );
  const rows = shown.map(({ name, quotaBytes, targets }) => [
    name,
    quotaBytes === 0 ? 'no quota' : formatBytes(quotaBytes),
    targets.join(' '),
  ]);
  print(rows.length === 0 ? 'none' : formatTable(rows, []));
}

/**
 * Returns the texts of the files whose names are names of accounts. Other files are ignored, since they may be copies
 * that an editor has made.
 */
function filesIn({ files }: System, directory: string): Map<string, string> {
  const shown = displayName(Buffer.from(directory, 'latin1'));
  if (files.status(directory)?.isDirectory !== true) {
    throw configInvalid(`there is no directory ${shown} with files of accounts`);
  }
  const names = files.list(directory).filter(isClientName).toSorted();
  if (names.length > MAX_ACCOUNT_FILES) {
    throw configInvalid(`${shown} has more than ${MAX_ACCOUNT_FILES} accounts`);
  }
  const texts = names.map((name): [string, string] => {
    const bytes = readStart(files, path.join(directory, name), MAX_ACCOUNT_BYTES + 1);
    if (bytes === undefined) throw configInvalid(`${name} is gone`);
    if (bytes.length > MAX_ACCOUNT_BYTES) {
      throw configInvalid(`the file of "${name}" has more than ${MAX_ACCOUNT_BYTES >> 10} KiB`);
    }
    return [name, bytes.toString('utf8')];
  });
  return new Map(texts);
}
