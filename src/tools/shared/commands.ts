/** The commands of `tardis`: the programs by the names that a newcomer looks for. */
import { PROGRAM_OF } from '../output/command-names.js';
import { folded, shownExamples } from './help-rows.js';

const SUMMARIES: Readonly<Record<keyof typeof PROGRAM_OF, string>> = {
  backup: 'back up directories and files (also without this word)',
  restore: 'restore files and directories',
  list: 'list backup sets, a directory as of a set, or all versions of a file',
  find: 'find files by name in all sets, deleted or not',
  diff: 'show what differs between two sets, or between a set and the disk',
  mount: 'mount all sets as a read-only file system',
  web: 'show the backups in the browser',
  check: 'check the store of a client, and list what can no longer be restored',
  purge: 'delete old backup sets by rules, and free the space that only they use',
  copy: 'copy a client to another store, or bring a copy up to date',
  import: 'bring over the history of restic, Borg, rsnapshot, rsync or Tardis (Python)',
  export: 'write sets as directories, tar archives, or into a repository of restic',
  clients: 'list the clients of a store, and their states',
  status: 'show when the last good backup was, and when the next is due (also `tardis` alone)',
  setup: 'set up backups by a few questions: what, where, when; --undo removes them again',
};

const EXAMPLES: Readonly<Record<string, string>> = {
  'tardis setup': 'sets up backups on this machine, and makes the first one',
  'tardis -D /media/disk/backups --local --create -P ~':
    'makes an encrypted backup of your home directory; later ones without --create',
  'tardis list -D /media/disk/backups': 'lists what there is',
  "tardis find 'letter*' -D /media/disk/backups": 'finds a file by its name, deleted or not',
  'tardis restore -D /media/disk/backups -o /tmp/back ~/letters':
    'restores a directory, as /tmp/back/letters',
};

/** Names of the commands for the manual: `restore` (regenerate), … */
export const COMMANDS_NOTE = `tardis COMMAND runs the program of a command, with the words that follow: ${Object.entries(
  PROGRAM_OF,
)
  .map(([command, tool]) => `${command} (${tool})`)
  .join(', ')}. A directory with such a name is given as ./NAME.`;

/** Returns `tardis --help`. */
export function tardisHelp(): string {
  const commands = Object.entries(PROGRAM_OF).map(([command, tool]) => {
    const program = `(${tool})`;
    return `  ${command.padEnd(9)}${SUMMARIES[command as keyof typeof PROGRAM_OF]}${command === 'backup' ? '' : ` ${program}`}`;
  });
  return [
    'Usage: tardis [command] [options] [path...]',
    'Keeps every version of every file, in a store on a disk, a server or in a bucket.',
    `Commands, each of which is also the program in brackets:\n${commands.join('\n')}`,
    `Examples:\n${shownExamples(Object.entries(EXAMPLES))}`,
    folded(
      '`tardis COMMAND --help` prints what most people need of a command, --help-all everything. `tardisd` is the server, `tardisremote` the one for HTTP; `sonic --help` lists the commands of operators.',
    ),
    '',
  ].join('\n\n');
}
