/** Holds each command that a test runs to the exit statuses that its help lists. */
import { ALSO_OF_SONIC, TOOLS } from '../../src/config/index.js';
import { PROGRAM_OF } from '../../src/tools/output/command-names.js';
import { statusesOf } from '../../src/tools/shared/help-statuses.js';

/** Exit statuses of `sonic` without a command that it knows. */
const OF_NO_COMMAND: readonly number[] = [0, 1];

/** Returns the exit statuses that the help of a command lists. */
function listedStatuses(program: string, args: readonly string[]): readonly number[] {
  const [first = program === 'tardis' ? 'status' : ''] = args; // `tardis` alone is `tardis status`
  const name = program === 'sonic' ? `sonic ${first}` : program;
  const meant =
    program === 'tardis' && first in PROGRAM_OF
      ? PROGRAM_OF[first as keyof typeof PROGRAM_OF]
      : name;
  const also = Object.entries(ALSO_OF_SONIC).find(([one]) => meant === `sonic ${one}`)?.[1];
  const tool = TOOLS.find((one) => one === (also ?? meant));
  return tool === undefined ? OF_NO_COMMAND : Object.keys(statusesOf(tool)).map(Number);
}

/** Throws if a command has ended with a status that its help does not list. A killed command has no status. */
export function requireListedStatus(
  program: string,
  args: readonly string[],
  status: number | null,
  printed: string,
): void {
  if (status === null || listedStatuses(program, args).includes(status)) return;
  const line = `${program} ${args.join(' ')}`;
  throw new Error(`its help does not list exit status ${status}: ${line}\n${printed}`);
}
