/** The text of a sheet with keys: its key id, and the commands that restore backups with it on a new machine. */
import { DEFAULT_PORT } from '../../config/index.js';
import type { KeyRecord } from '../../crypto/index.js';
import { shownKeyId } from '../../crypto/identity/index.js';
import { absolutePath, byteText } from '../../system/index.js';
import { shellWord } from '../output/shell-word.js';

/** Maximum number of columns of a command on paper; longer commands continue after a backslash. */
const COMMAND_COLUMNS = 84;

interface SheetPlace {
  readonly client: string;
  readonly database: Buffer;
  readonly throughServer: string | undefined;
  readonly port: number;
  /** True if the server is reached without TLS. */
  readonly insecureTcp: boolean;
  readonly insecureNetwork: boolean;
}

interface SheetStep {
  readonly text: string;
  /** Lines for a shell. */
  readonly commands: readonly string[];
}

export interface SheetWords {
  readonly keyId: string;
  readonly about: string;
  readonly steps: readonly SheetStep[];
}

/** Returns the text for the sheet of a key record. */
export function sheetWords(place: SheetPlace, { keysetId }: KeyRecord): SheetWords {
  const { client, database, throughServer } = place;
  const file = `${client}.keys`;
  const store = ['-D', throughServer === undefined ? byteText(absolutePath(database)) : 'STORE'];
  const way = throughServer === undefined ? store : serverWords(throughServer, place);
  const tail = ['-C', client, '--keys', file];
  const [lost, machine] =
    throughServer === undefined
      ? ['KEYS_LOST', '']
      : [
          'the log of the server has KEYS_LOST, and a command ends with LOGIN_FAILED although the password is right',
          ' on its machine, where STORE is its directory,',
        ];
  return {
    keyId: shownKeyId(keysetId.toString('hex')),
    about:
      'With this sheet and the password you can restore the backups on any machine. The password is not on the sheet; without the password nobody can use the keys, ' +
      'and without the keys nobody can read the backups. Keep the sheet where fire, water or thieves cannot take it together with the store. ' +
      'It contains the present keys: after a change of the password or the keys, print another sheet.',
    steps: [
      {
        text: `1. Scan the codes one after the other into one file, or type the text at the end of this sheet into it. Name it ${file}.`,
        commands: [],
      },
      {
        text:
          '2. List the backups and restore the newest one. Each command prompts for the password. The first one prints the key id of ' +
          'the store: compare it with the key id above. A different key id means a different store. If a command ends with KEY_FILE_DIFFERS or KEY_FILE_INVALID, the store may have newer keys: omit --keys.',
        commands: [
          ...wrapped(['lstardis', ...way, ...tail]),
          ...wrapped(['regenerate', ...way, ...tail, '--all', '-o', 'restored']),
        ],
      },
      {
        text: `3. If the store has lost its own keys (${lost}), restore them${machine} and back up as before.`,
        commands: wrapped(['sonic', 'keys', '--insert', ...store, ...tail]),
      },
    ],
  };
}

function serverWords(server: string, { port, insecureTcp, insecureNetwork }: SheetPlace): string[] {
  if (server.startsWith('/')) return ['--server', server];
  return [
    '--server',
    server,
    ...(port === DEFAULT_PORT ? [] : ['--port', String(port)]),
    ...(insecureTcp ? ['--insecure-tcp'] : []),
    ...(insecureNetwork ? ['--insecure-network'] : []),
  ];
}

/** Returns a command in lines of at most COMMAND_COLUMNS, if its words are short enough. */
function wrapped(words: readonly string[]): string[] {
  const lines = [''];
  for (const word of words.map(shellWord)) {
    const line = lines.at(-1)!;
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || longer.length <= COMMAND_COLUMNS - 2) lines[lines.length - 1] = longer;
    else {
      lines[lines.length - 1] = `${line} \\`;
      lines.push(word);
    }
  }
  return lines;
}
