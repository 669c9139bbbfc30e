/**
 * Implements `sonic complete` for shells: prints values from a store, one per line, each with its description after
 * a tab.
 */
import { Command } from 'commander';
import { nodeSystem, processEnvironment } from '../../system/index.js';
import { print } from '../shared/run-tool.js';

/** Time limit, since the user is waiting at the prompt. */
const PATIENCE_MS = 1500;

/**
 * Returns the command `complete -- KIND PREFIX WORD…`, which no help lists. It prints no errors and ends with status
 * 0.
 */
export function completeCommand(): Command {
  return new Command('complete')
    .helpOption(false)
    .argument('<kind>')
    .argument('<prefix>')
    .argument('[words...]')
    .action(async (wanted: string, prefix: string, words: string[]) => {
      const { LIVE_KINDS, liveValues } = await import('./live-values.js'); // only this command needs it
      const kind = LIVE_KINDS.find((one) => one === wanted);
      if (kind === undefined) return;
      const late = setTimeout(() => process.exit(0), PATIENCE_MS);
      try {
        const question = { kind, prefix, words, environment: processEnvironment() };
        const values = await liveValues(nodeSystem(), question);
        const lines = values.map(({ value, what }) => (what === '' ? value : `${value}\t${what}`));
        if (lines.length > 0) print(lines.join('\n'));
      } catch {
        return; // the user sees the error when the completed command runs
      } finally {
        clearTimeout(late);
      }
    });
}
