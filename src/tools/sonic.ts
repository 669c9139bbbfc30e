/** `sonic`: administration of a store. */
import { Command } from 'commander';
import type { Found, Settings } from '../config/index.js';
import { displayName } from '../model/index.js';
import { rebuildCatalog } from '../server/index.js';
import { listClients, openClientDirectory, repairClientDirectory } from '../store/index.js';
import { nodeSystem, textBytes } from '../system/index.js';
import { ProgressLine } from './progress-line.js';
import { printSets } from './report-sets.js';
import {
  clientPlace,
  describeTool,
  JSON_VERSION,
  print,
  runTool,
  toolCommand,
} from './run-tool.js';
import { account } from './sonic-account.js';
import { moveKeys } from './sonic-keys.js';
import { changePass, create, rotate, setPassword, storeSystem } from './sonic-passwords.js';
import { encrypt, rekey } from './sonic-rekey.js';
import { formatCount } from './units.js';
import { openUnlocked } from './open-archive.js';
import { unlockClient } from './unlock.js';

const command = describeTool(new Command(), 'sonic', 'Administers a tardis store.')
  .addCommand(
    toolCommand({
      tool: 'sonic create',
      isWork: true,
      summary: 'make a client (and the store, if it is not there), with a password or without',
      run: create,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic setpass',
      isWork: true,
      summary: 'give a client a password that has none (what is stored stays as it is)',
      run: setPassword,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic chpass',
      isWork: true,
      summary: 'change the password of a client (nothing is written anew but the keys)',
      run: changePass,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic rotate',
      isWork: true,
      summary: 'encrypt what is stored from now on with a new key',
      run: rotate,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic rekey',
      isWork: true,
      summary:
        'write all of an encrypting client anew with new keys (goes on where it was broken off)',
      run: rekey,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic encrypt',
      isWork: true,
      summary: 'encrypt all of a client that does not encrypt (goes on where it was broken off)',
      run: encrypt,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic account',
      isWork: true,
      summary: 'list, make, change or remove the accounts of a client, each with rights of its own',
      run: account,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic keys',
      isWork: true,
      summary: 'write the wrapped keys of a client into a key file, or back into the store',
      run: moveKeys,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic list',
      summary: 'list the backup sets of a client',
      run: list,
    }),
  )
  .addCommand(
    toolCommand({
      tool: 'sonic rebuild',
      isWork: true,
      summary: 'make the catalog of a client anew from its packs, checking every record',
      run: rebuild,
    }),
  )
  .addHelpText(
    'after',
    `
Examples:
  sonic create -D /srv/tardis -C laptop --password
  sonic chpass -D /srv/tardis -C laptop
  sonic chpass --server backup.example.org -C laptop
  sonic encrypt -D /srv/tardis -C laptop --password
  sonic keys --extract --remove --keys ~/keys -D /srv/tardis -C laptop
  sonic account --add phone --rights add,list -D /srv/tardis -C laptop
  sonic list -D /srv/tardis -C laptop
  sonic rebuild -D /srv/tardis -C laptop`,
  );

async function list(
  options: Settings<'sonic list'>,
  found: ReadonlyMap<string, Found>,
): Promise<void> {
  const { store } = clientPlace(options);
  const system = nodeSystem();
  if (options.clients) {
    const clients = listClients(system, store);
    if (options.json) print(JSON.stringify({ version: JSON_VERSION, clients }));
    else for (const name of clients) print(name);
    return;
  }
  const directory = openClientDirectory(system, clientPlace(options));
  const keyring = await unlockClient(system, options, found);
  if (
    system.files.status(directory.catalogPath) === undefined &&
    (await isUnused(directory.path))
  ) {
    await printSets(undefined, [], options);
    return;
  }
  const archive = openUnlocked(system, clientPlace(options), keyring);
  try {
    await printSets(archive, await archive.sets(), options);
  } finally {
    archive.close();
  }
}

/** A client that was made but never backed up has no packs, and no catalog either. */
async function isUnused(clientPath: string): Promise<boolean> {
  return nodeSystem().files.status(`${clientPath}/packs`) === undefined;
}

async function rebuild(options: Settings<'sonic rebuild'>): Promise<number> {
  const { client } = options;
  const system = storeSystem(options.umask);
  const directory = await repairClientDirectory(system, clientPlace(options));
  let shown = '';
  const line = new ProgressLine(undefined, () => shown);
  line.start();
  try {
    const report = await rebuildCatalog(system, directory, (pack, lastPack) => {
      shown = `reading pack ${pack} of ${lastPack}`;
    });
    line.stop();
    const { commits, damagedRecords, lostCommits, keptCatalog } = report;
    if (options.json) {
      const told = { client, commits, damagedRecords, lostCommits, keptCatalog };
      print(JSON.stringify({ version: JSON_VERSION, ...told }));
    } else {
      print(`The catalog of "${client}" was made anew from ${formatCount(commits)} checkpoints.`);
      if (damagedRecords > 0) {
        print(
          `${formatCount(damagedRecords)} records or packs are damaged or missing` +
            `${report.isMetadataLost ? '; sets made so far may lack entries' : ''}. ` +
            'The next backup sends again what the source still has.',
        );
      }
      if (keptCatalog !== undefined) {
        print(
          `The old catalog knew ${formatCount(lostCommits)} later checkpoints, whose packs are cut off or gone. ` +
            `It is kept beside the new one as ${displayName(textBytes(keptCatalog))}: with it in its ` +
            'old place, `regenerate` restores what is left of those sets.',
        );
      }
    }
    return damagedRecords + lostCommits > 0 ? 3 : 0;
  } finally {
    line.stop();
  }
}

await runTool(command);
