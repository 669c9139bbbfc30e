/** `sonic`: administration of a store. */
import { Command } from 'commander';
import { openLocalArchive } from '../archive/index.js';
import { rebuildCatalog } from '../server/index.js';
import { createClientDirectory, listClients, openClientDirectory } from '../store/index.js';
import { nodeSystem } from '../system/index.js';
import { ProgressLine } from './progress-line.js';
import { printSets } from './report-sets.js';
import {
  addStoreOptions,
  clientPlace,
  describeTool,
  JSON_VERSION,
  print,
  runTool,
  type StoreOptions,
} from './run-tool.js';
import { formatCount } from './units.js';

interface SonicOptions extends StoreOptions {
  readonly json?: boolean;
  readonly clients?: boolean;
}

function program(): Command {
  const command = describeTool(new Command(), 'sonic', 'Administers a tardis store.');
  addStoreOptions(command.command('create'))
    .description('make a client (and the store, if it is not there)')
    .option('--json', 'print the result as JSON')
    .action(create);
  addStoreOptions(command.command('list'))
    .description('list the backup sets of a client')
    .option('--clients', 'list the clients of the store instead')
    .option('--json', 'print JSON')
    .action(list);
  addStoreOptions(command.command('rebuild'))
    .description('make the catalog of a client anew from its packs, checking every record')
    .option('--json', 'print the result as JSON')
    .action(rebuild);
  command.addHelpText(
    'after',
    `
Examples:
  sonic create -D /srv/tardis -C laptop
  sonic list -D /srv/tardis -C laptop
  sonic rebuild -D /srv/tardis -C laptop`,
  );
  return command;
}

async function create(options: SonicOptions): Promise<void> {
  const { client } = options;
  const directory = await createClientDirectory(nodeSystem(), clientPlace(options));
  if (options.json === true) {
    print(JSON.stringify({ version: JSON_VERSION, client, path: directory.path }));
  } else print(`The client "${client}" is ready in ${directory.path}.`);
}

async function list(options: SonicOptions): Promise<void> {
  const { database: store } = options;
  const system = nodeSystem();
  if (options.clients === true) {
    const clients = listClients(system, store);
    if (options.json === true) print(JSON.stringify({ version: JSON_VERSION, clients }));
    else for (const name of clients) print(name);
    return;
  }
  const directory = openClientDirectory(system, clientPlace(options));
  if (
    system.files.status(directory.catalogPath) === undefined &&
    (await isUnused(directory.path))
  ) {
    printSets([], options.json === true);
    return;
  }
  const archive = openLocalArchive(system, clientPlace(options));
  try {
    printSets(await archive.sets(), options.json === true);
  } finally {
    archive.close();
  }
}

/** A client that was made but never backed up has no packs, and no catalog either. */
async function isUnused(clientPath: string): Promise<boolean> {
  return nodeSystem().files.status(`${clientPath}/packs`) === undefined;
}

async function rebuild(options: SonicOptions): Promise<void> {
  const { client } = options;
  const system = nodeSystem();
  const directory = openClientDirectory(system, clientPlace(options));
  let shown = '';
  const line = new ProgressLine(undefined, () => shown);
  line.start();
  try {
    const report = await rebuildCatalog(system, directory, (pack, lastPack) => {
      shown = `reading pack ${pack} of ${lastPack}`;
    });
    line.stop();
    const { commits, damagedRecords } = report;
    if (options.json === true) {
      print(JSON.stringify({ version: JSON_VERSION, client, commits, damagedRecords }));
    } else {
      print(`The catalog of "${client}" was made anew from ${formatCount(commits)} checkpoints.`);
      if (damagedRecords > 0) {
        print(
          `${formatCount(damagedRecords)} records or packs are damaged or missing` +
            `${report.isMetadataLost ? '; sets made so far may lack entries' : ''}. ` +
            'The next backup sends again what the source still has.',
        );
      }
    }
    if (damagedRecords > 0) process.exitCode = 3;
  } finally {
    line.stop();
  }
}

await runTool(program(), process.argv);
