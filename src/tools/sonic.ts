/** `sonic`: administration of a store. */
import { Command } from 'commander';
import { SONIC_SUMMARY, sonicHelpText } from './help.js';
import { describeTool, runTool, toolCommand } from './run-tool.js';
import { account } from './sonic-account.js';
import { completeCommand } from './sonic-complete.js';
import { check } from './sonic-check.js';
import { deleteSets, orphans } from './sonic-delete.js';
import { getConfig, setConfig } from './sonic-config.js';
import { diffSets } from './sonic-diff.js';
import { files } from './sonic-files.js';
import { forgetPath } from './sonic-forget.js';
import { info } from './sonic-info.js';
import { list } from './sonic-list.js';
import { expend, lock, prioritise, rename, tag } from './sonic-marks.js';
import { moveKeys } from './sonic-keys.js';
import { changePass, create, rotate, setPassword } from './sonic-passwords.js';
import { purge } from './sonic-purge.js';
import { rebuild } from './sonic-rebuild.js';
import { encrypt, rekey } from './sonic-rekey.js';
import { stats } from './sonic-stats.js';
import { upgrade } from './sonic-upgrade.js';

const command = describeTool(new Command(), 'sonic', SONIC_SUMMARY)
  .addCommand(toolCommand({ tool: 'sonic create', isWork: true, run: create }))
  .addCommand(toolCommand({ tool: 'sonic setpass', isWork: true, run: setPassword }))
  .addCommand(toolCommand({ tool: 'sonic chpass', isWork: true, run: changePass }))
  .addCommand(toolCommand({ tool: 'sonic rotate', isWork: true, run: rotate }))
  .addCommand(toolCommand({ tool: 'sonic rekey', isWork: true, run: rekey }))
  .addCommand(toolCommand({ tool: 'sonic encrypt', isWork: true, run: encrypt }))
  .addCommand(toolCommand({ tool: 'sonic account', isWork: true, run: account }))
  .addCommand(toolCommand({ tool: 'sonic keys', isWork: true, run: moveKeys }))
  .addCommand(toolCommand({ tool: 'sonic list', run: list }))
  .addCommand(toolCommand({ tool: 'sonic files', run: files }))
  .addCommand(toolCommand({ tool: 'sonic info', run: info }))
  .addCommand(toolCommand({ tool: 'sonic stats', run: stats }))
  .addCommand(toolCommand({ tool: 'sonic getconfig', run: getConfig }))
  .addCommand(toolCommand({ tool: 'sonic setconfig', isWork: true, run: setConfig }))
  .addCommand(toolCommand({ tool: 'sonic upgrade', isWork: true, run: upgrade }))
  .addCommand(toolCommand({ tool: 'sonic check', isWork: true, run: check }))
  .addCommand(toolCommand({ tool: 'sonic delete', isWork: true, run: deleteSets }))
  .addCommand(toolCommand({ tool: 'sonic diff', run: diffSets }))
  .addCommand(toolCommand({ tool: 'sonic purge', isWork: true, run: purge }))
  .addCommand(toolCommand({ tool: 'sonic forget-path', isWork: true, run: forgetPath }))
  .addCommand(toolCommand({ tool: 'sonic tag', isWork: true, run: tag }))
  .addCommand(toolCommand({ tool: 'sonic lock', isWork: true, run: lock }))
  .addCommand(toolCommand({ tool: 'sonic priority', isWork: true, run: prioritise }))
  .addCommand(toolCommand({ tool: 'sonic rename', isWork: true, run: rename }))
  .addCommand(toolCommand({ tool: 'sonic expendable', isWork: true, run: expend }))
  .addCommand(toolCommand({ tool: 'sonic orphans', isWork: true, run: orphans }))
  .addCommand(toolCommand({ tool: 'sonic rebuild', isWork: true, run: rebuild }))
  .addCommand(completeCommand(), { hidden: true })
  .addHelpText('after', sonicHelpText());

await runTool(command);
