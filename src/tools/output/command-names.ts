/** The commands of `tardis`, and the names of programs in messages: `tardis restore` if `regenerate` was started by that name. */
import type { Tool } from '../../config/index.js';

/** The program of each command. bin/launch.sh starts it with the words that follow. */
export const PROGRAM_OF = {
  backup: 'tardis',
  restore: 'regenerate',
  list: 'lstardis',
  find: 'lstardis',
  diff: 'tardiff',
  mount: 'tardisfs',
  web: 'tardis-web',
  check: 'sonic check',
  purge: 'sonic purge',
  copy: 'sonic copy',
  import: 'tardis-import',
  export: 'sonic export',
  clients: 'sonic clients',
  status: 'sonic status',
  setup: 'sonic setup',
} as const satisfies Readonly<Record<string, Tool>>;

type FrontCommand = keyof typeof PROGRAM_OF;

/** Environment variable in which the launcher passes on the command that was typed after `tardis`. */
const FRONT_VARIABLE = 'TARDIS_FRONT';

/** The commands by the beginnings of the command lines that they stand for. */
const COMMANDS = new Map<string, string>([
  ['lstardis --find', 'find'],
  ...Object.entries(PROGRAM_OF).flatMap(([command, tool]): [string, string][] =>
    command === 'backup' || command === 'find' ? [] : [[tool, command]],
  ),
]);
const ANY_PROGRAM = [...COMMANDS.keys()].join('|');
const QUOTED = new RegExp(`\`(${ANY_PROGRAM})(?=[ \`])`, 'g');
const ANYWHERE = new RegExp(`(?<![\\w/-])(${ANY_PROGRAM})(?![\\w/-])`, 'g');
const FIND_EXAMPLE = /\blstardis ((?:-D \S+ )?)--find /g;

/** Returns the command by which this program was started; undefined if by its own name. */
export function frontCommand(): FrontCommand | undefined {
  const name = process.env[FRONT_VARIABLE];
  return name !== undefined && Object.hasOwn(PROGRAM_OF, name) ? (name as FrontCommand) : undefined;
}

/** Returns a program's name in messages: `tardis check` for `sonic` and `sonic check` if it was started by that name. */
export function shownProgram(program: string): string {
  const command = frontCommand();
  if (command === undefined || !isOf(PROGRAM_OF[command], program)) return program;
  return command === 'backup' ? program : `tardis ${command}`;
}

/** True if the program is the tool of a command, or `sonic` of which the tool is a sub-command. */
function isOf(tool: Tool, program: string): boolean {
  return tool === program || tool.startsWith(`${program} `);
}

/** Returns a line of a program for standard error, without its end. */
export function messageLine(program: string, text: string): string {
  return `${shownProgram(program)}: ${inFrontWords(text)}`;
}

/** Prints a line of a program on standard error. */
export function complain(program: string, text: string): void {
  process.stderr.write(`${messageLine(program, text)}\n`);
}

/** Returns a message or advice in which command lines between backquotes begin with `tardis` if this program was started so. */
export function inFrontWords(text: string): string {
  if (frontCommand() === undefined) return text;
  return text.replaceAll(QUOTED, (_, program: string) => `\`tardis ${COMMANDS.get(program)!}`);
}

/** Returns the help of a program in which other programs, too, have the names of commands if this program was started so. */
export function helpInFrontWords(text: string): string {
  if ((frontCommand() ?? 'backup') === 'backup') return text; // the help of `tardis` names the programs of its commands
  return text
    .replaceAll(FIND_EXAMPLE, 'tardis find $1')
    .replaceAll(ANYWHERE, (_, program: string) => {
      const own = shownProgram(program); // `tardis find` is lstardis too
      return own === program ? `tardis ${COMMANDS.get(program)!}` : own;
    });
}
