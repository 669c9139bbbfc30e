/** `sonic complete`, which is for shells: values of a store, one a line, with what they are behind a tab. */
import { Command } from 'commander';
import { nodeSystem, processEnvironment } from '../system/index.js';
import { print } from './run-tool.js';

/** Somebody waits with a finger on a key. */
const PATIENCE_MS = 1500;

/** `complete -- KIND PREFIX WORD…`; in no help. Silent whatever happens: it ends with status 0. */
export function completeCommand(): Command {
  return new Command('complete')
    .helpOption(false)
    .argument('<kind>')
    .argument('<prefix>')
    .argument('[words...]')
    .action(async (wanted: string, prefix: string, words: string[]) => {
      const { LIVE_KINDS, liveValues } = await import('./live-values.js'); // for no other command
      const kind = LIVE_KINDS.find((one) => one === wanted);
      if (kind === undefined) return;
      const late = setTimeout(() => process.exit(0), PATIENCE_MS);
      try {
        const question = { kind, prefix, words, environment: processEnvironment() };
        const values = await liveValues(nodeSystem(), question);
        const lines = values.map(({ value, what }) => (what === '' ? value : `${value}\t${what}`));
        if (lines.length > 0) print(lines.join('\n'));
      } catch {
        return; // whoever completes a line is told of errors when he runs it
      } finally {
        clearTimeout(late);
      }
    });
}
