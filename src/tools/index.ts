/** Exports the parts of the commands that can be used or tested without running a command. */
export { type LiveKind, liveValues } from './sonic/completion-values.js';
export { showsColors } from './output/colors.js';
export { BackupLine } from './tardis/backup-line.js';
export { provenGaps, provenVersions } from './lstardis/proofs.js';
export { RestoreLine } from './regenerate/restore-line.js';
export { TimeLeft } from './output/time-left.js';
export { tardisHelp } from './shared/commands.js';
export { PROGRAM_OF } from './output/command-names.js';
export { HELP, helpText, SONIC_SUMMARY, sonicHelpText } from './shared/help.js';
export { statusesOf, statusNote } from './shared/help-statuses.js';
export { inOurWords } from './shared/neophytos.js';
export { usesServer } from './opening/history.js';
export { checkUsage } from './regenerate/options.js';
export { sheetWords } from './sonic/sheet-words.js';
export { mountWords, withAbsolutePaths } from './tardisfs/mount-words.js';
export { printError } from './shared/tool-errors.js';
export { requireNode, toolCommand } from './shared/run-tool.js';
export { daemonOptions, listenAddress } from './tardisd/daemon-options.js';
export { serveBucket } from './tardisd/served-bucket.js';
export { counted, formatCount, formatSeconds, formatTable, formatTime } from './output/units.js';
export { elsewhereOf, serverPlace } from './opening/server.js';
export { shellWord } from './output/shell-word.js';
export { chosenSets } from './sonic/set-choice.js';
export { ExportDirectory } from './sonic/export-directory.js';
export { hasRange, setsWithin } from './lstardis/set-range.js';
export { listedSpan } from './lstardis/list-versions.js';
export { LsColors } from './output/colors.js';
export { jsonText } from './output/output.js';
export { progressBar } from './output/progress-bar.js';
export { purgedText, setRanges, settledLines, settledWarning } from './shared/report-purge.js';
export * from './shared/option-words.js';
export { labelText } from './sonic/report-check.js';
export { backupLines } from './tardis/report-backup.js';
export * from './tardiff/diff-text.js';
export { chooseSet, setOfWord } from './opening/history.js';
export { givenPassword } from './opening/password.js';
export {
  aspectsText,
  jsonDifference,
  jsonNotCompared,
  kindOf,
  sizeOf,
} from './shared/report-differences.js';
export { matchingPaths } from './lstardis/list-globs.js';
export { chooseVersions, comparedPaths, type DiffSettings, headerOf } from './tardiff/sides.js';
export { ClientLog } from './tardis/client-log.js';
export { runningConfig } from './tardis/running-config.js';
export { SavedList } from './tardis/saved-list.js';
export { watchPlan } from './tardisd/monitor-settings.js';
export { logTo } from './tardisfs/mount-log.js';
export { serverSource } from './tardisremote/server-source.js';
