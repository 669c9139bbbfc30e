/** Codes by which a new machine creates its client at a server: makes, reads and uses them. */
import { X509Certificate } from 'node:crypto';
import type { KeysRequest } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { failedTo, systemReason, TardisError, usageError } from '../../errors/index.js';
import { displayLine, displayName } from '../../model/index.js';
import { type JoinCode, makeJoinCode, parseJoinCode } from '../../store/index.js';
import { byteText, configPath, readSmallFile, type System, textBytes } from '../../system/index.js';
import { formatTime } from '../output/units.js';
import { print, printJson } from '../output/output.js';

const MAX_FILE_BYTES = 1 << 20;

/** Makes a code for a client and prints it. Throws USAGE without the certificate of the server. */
export async function printCode(
  system: System,
  server: string,
  { client, database, certFile, json }: Settings<'sonic create'>,
): Promise<void> {
  const file = certFile ?? textBytes(configPath('tardisd-cert.pem'));
  const { text, untilMs } = await makeJoinCode(system, byteText(database), {
    client,
    server,
    certificate: certificateIn(file),
  });
  if (json) return printJson({ client, code: text, untilMs });
  print(`A code for the client "${client}", which works once, until ${formatTime(untilMs)}:`);
  print(`  ${text}`);
  print('On the new machine: run `tardis setup`, and give the code as the answer to Place.');
}

/** Reads a file of an administrator with the certificate of the server. Throws USAGE. */
function certificateIn(file: Buffer): Buffer {
  try {
    const bytes = readSmallFile(file, MAX_FILE_BYTES);
    void new X509Certificate(bytes); // throws for other files
    return bytes;
  } catch (error) {
    const what = `${displayName(file)} has no certificate that can be read: ${systemReason(error)}`;
    throw usageError(`${what}; give the CertFile of tardisd with --certfile`);
  }
}

/** Returns the code in a file. Throws JOIN_CODE_INVALID, and USAGE for a code where its file is expected. */
export function joinCodeIn(file: Buffer): JoinCode {
  if (byteText(file).startsWith('join:')) {
    // The message does not repeat the code, since messages are kept in logs.
    const what = '--join takes a file that has the code (-: standard input), not the code itself';
    throw usageError(what);
  }
  let text: string;
  try {
    text = readSmallFile(file, MAX_FILE_BYTES).toString();
  } catch (error) {
    throw failedTo(`read the code in ${displayName(file)}`, error, 'useNamedFile');
  }
  const code = parseJoinCode(text);
  if (code !== undefined) return code;
  const what = `there is no code in ${displayName(file)}: it begins with join: and is one line`;
  throw new TardisError('JOIN_CODE_INVALID', what);
}

/** Throws USAGE if a code makes a client of another name. */
export function requireClientOf(code: JoinCode, client: string): void {
  if (code.client === client) return;
  const what = `the code makes the client "${code.client}" and no other`;
  throw usageError(`${what}, so -C "${displayLine(client)}" cannot be`);
}

/** Returns a request that makes the client of a code, at the server with the certificate in the code only. */
export function joiningBy({ secret, fingerprint }: JoinCode, request: KeysRequest): KeysRequest {
  if (request.tls === undefined) {
    throw usageError('a machine joins over TLS only: leave out --insecure-tcp');
  }
  const { credentials } = request;
  if (credentials.password === undefined) {
    throw new TardisError('PASSWORD_NEEDED', 'a machine that joins by a code needs a password');
  }
  return {
    ...request,
    tls: { validate: false, fingerprint },
    credentials: { ...credentials, code: secret },
  };
}
