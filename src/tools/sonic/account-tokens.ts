/** Implements `sonic account --add NAME --token`: an account for programs, which logs in by a token. */
import { randomBytes } from 'node:crypto';
import type { Settings } from '../../config/index.js';
import type { RightName } from '../../model/index.js';
import { addTokenAccount, openClientDirectory, tokenHash } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { jsonText } from '../shared/json-text.js';
import { clientPlace } from '../shared/local-store.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';

const SECRET_BYTES = 32;

/** Creates the account, and prints its token. The token cannot be printed again. Throws USAGE if the account exists. */
export async function addToken(
  options: Settings<'sonic account'>,
  system: System,
  name: string,
  rights: readonly RightName[],
): Promise<void> {
  const { client, json } = options;
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  await addTokenAccount(system, directory, { name, rights }, tokenHash(secret));
  const token = `${client}/${name}/${secret}`;
  if (json) {
    print(jsonText({ version: JSON_VERSION, client, account: name, rights, token }));
    return;
  }
  print(`The account "${name}" of "${client}" may: ${rights.join(', ')}.`);
  print(`Its token, which is not shown again:\n  ${token}`);
}
