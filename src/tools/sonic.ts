/** Implements `sonic`: administers a store. */
import { Command } from 'commander';
import type { Tool } from '../config/index.js';
import { nodeSystem, processEnvironment } from '../system/index.js';
import { SONIC_SUMMARY, sonicHelpText } from './shared/help.js';
import { describeTool } from './shared/declare-tool.js';
import { COMPARISON_FAILED, statusIsAnswer } from './output/exit-status.js';
import { print } from './output/output.js';
import { runTool, toolCommand, type ToolSpec } from './shared/run-tool.js';

/** Time limit, since the user is waiting at the prompt. */
const PATIENCE_MS = 1500;

/** Loads a sub-command when it is run, since loading all of them would take longer than most of their work. */
type Loading<T extends Tool> = () => Promise<ToolSpec<T>['run']>;

/** Returns a sub-command that only prints. */
function prints<T extends Tool>(tool: T, load: Loading<T>): Command {
  return toolCommand({ tool, run: async (...given) => (await load())(...given) });
}

/** Returns a sub-command that does more than print (`isWork`). It continues when its output is closed. */
function works<T extends Tool>(tool: T, load: Loading<T>): Command {
  return toolCommand({ tool, isWork: true, run: async (...given) => (await load())(...given) });
}

const command = describeTool(new Command(), 'sonic', SONIC_SUMMARY)
  .commandsGroup('Sets:')
  .addCommand(prints('sonic status', async () => (await import('./sonic/status.js')).status))
  .addCommand(
    prints('lstardis', async () => (await import('./lstardis/list.js')).listStore)
      .name('list')
      .summary('list the backup sets of a client, or a directory as of a set (lstardis)'),
  )
  .addCommand(prints('sonic files', async () => (await import('./sonic/files.js')).files))
  .addCommand(prints('sonic info', async () => (await import('./sonic/info.js')).info))
  .addCommand(
    prints('tardiff', async () => (await import('./tardiff/compare.js')).compare)
      .name('diff')
      .summary('show what differs between two sets, or a set and the disk (tardiff)'),
  )
  .addCommand(prints('sonic clients', async () => (await import('./sonic/clients.js')).clients))
  .addCommand(prints('sonic stats', async () => (await import('./sonic/stats.js')).stats))
  .commandsGroup('Space:')
  .addCommand(works('sonic purge', async () => (await import('./sonic/purge.js')).purge))
  .addCommand(works('sonic delete', async () => (await import('./sonic/delete.js')).deleteSets))
  .addCommand(
    works('sonic forget-path', async () => (await import('./sonic/forget.js')).forgetPath),
  )
  .addCommand(works('sonic orphans', async () => (await import('./sonic/delete.js')).orphans))
  .commandsGroup('Safety:')
  .addCommand(works('sonic check', async () => (await import('./sonic/check.js')).check))
  .addCommand(works('sonic copy', async () => (await import('./sonic/copy.js')).copy))
  .addCommand(works('sonic export', async () => (await import('./sonic/export.js')).exportSets))
  .addCommand(works('sonic rebuild', async () => (await import('./sonic/rebuild.js')).rebuild))
  .addCommand(works('sonic bucket', async () => (await import('./sonic/bucket.js')).bucket))
  .addCommand(works('sonic upgrade', async () => (await import('./sonic/upgrade.js')).upgrade))
  .commandsGroup('Marks of sets:')
  .addCommand(works('sonic tag', async () => (await import('./sonic/mark-sets.js')).tag))
  .addCommand(works('sonic lock', async () => (await import('./sonic/mark-sets.js')).lock))
  .addCommand(
    works('sonic priority', async () => (await import('./sonic/mark-sets.js')).prioritise),
  )
  .addCommand(works('sonic rename', async () => (await import('./sonic/mark-sets.js')).rename))
  .addCommand(works('sonic expendable', async () => (await import('./sonic/mark-sets.js')).expend))
  .commandsGroup('Clients, passwords and keys:')
  .addCommand(works('sonic create', async () => (await import('./sonic/passwords.js')).create))
  .addCommand(works('sonic account', async () => (await import('./sonic/account.js')).account))
  .addCommand(works('sonic keys', async () => (await import('./sonic/keys.js')).moveKeys))
  .addCommand(
    works('sonic setpass', async () => (await import('./sonic/passwords.js')).setPassword),
  )
  .addCommand(works('sonic chpass', async () => (await import('./sonic/passwords.js')).changePass))
  .addCommand(works('sonic rotate', async () => (await import('./sonic/passwords.js')).rotate))
  .addCommand(works('sonic rekey', async () => (await import('./sonic/rekey.js')).rekey))
  .addCommand(works('sonic encrypt', async () => (await import('./sonic/rekey.js')).encrypt))
  .commandsGroup('Settings:')
  .addCommand(works('sonic setup', async () => (await import('./sonic/setup.js')).setup))
  .addCommand(prints('sonic getconfig', async () => (await import('./sonic/config.js')).getConfig))
  .addCommand(works('sonic setconfig', async () => (await import('./sonic/config.js')).setConfig))
  .addCommand(completeCommand(), { hidden: true })
  .helpCommand('help [command]', 'show the help of a command')
  .addHelpText('after', sonicHelpText());

export default runTool(command, (words) => {
  if (words[0] === 'diff') statusIsAnswer(COMPARISON_FAILED);
  return words;
});

/**
 * Returns the command `complete -- KIND PREFIX WORD…`, which no help lists. It prints no errors and ends with status
 * 0.
 */
function completeCommand(): Command {
  return new Command('complete')
    .helpOption(false)
    .argument('<kind>')
    .argument('<prefix>')
    .argument('[words...]')
    .action(async (wanted: string, prefix: string, words: string[]) => {
      const { LIVE_KINDS, liveValues } = await import('./sonic/completion-values.js'); // only this command needs it
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
