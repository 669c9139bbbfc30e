/** What of the commands can be looked at without running them. */
export { LIVE_KINDS, type LiveKind, liveValues } from './live-values.js';
export { showsColors } from './colors.js';
export { ShownBackup } from './shown-backup.js';
export { ShownRestore } from './shown-restore.js';
export { TimeLeft } from './time-left.js';
export { HELP, helpText, SONIC_SUMMARY, sonicHelpText, type ToolHelp } from './help.js';
export { inOurWords } from './neophytos.js';
export { checkUsage } from './regenerate-options.js';
export { toolCommand } from './run-tool.js';
