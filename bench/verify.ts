import { spawnSync } from 'node:child_process';
import { measure, type Command } from './measure.js';

/**
 * Throws unless a restored tree equals the original, by the judgement of an independent program. rsync compares
 * contents, kinds, modes, owners, times and links, and must find nothing to do. Without rsync, diff compares only
 * names, contents and links.
 */
export async function verifyRestored(
  tree: string,
  restored: string,
  logFile: string,
): Promise<void> {
  const command: Command =
    spawnSync('rsync', ['--version']).status === 0
      ? { argv: ['rsync', '-anHci', '--delete', `${tree}/`, `${restored}/`] }
      : { argv: ['diff', '-r', '--no-dereference', tree, restored] };
  const { output } = await measure(command, { logFile });
  if (output !== '') {
    throw new Error(`the restored tree is not the original:\n${command.argv.join(' ')}\n${output}`);
  }
}
