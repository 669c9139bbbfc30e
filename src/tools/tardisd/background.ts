/** Implements `--daemon` of programs that serve. */
import { configInvalid } from '../../config/index.js';
import { hasStrayBytes, processArguments } from '../../system/index.js';
import { startInBackground } from '../shared/background.js';

/** Starts this command in the background. Throws the error that prevents it from serving. */
export async function goToBackground(settings: {
  readonly pidFile: Buffer | undefined;
  readonly logFile: Buffer | undefined;
}): Promise<void> {
  if (settings.pidFile === undefined) throw configInvalid('Daemon needs a PidFile');
  if (settings.logFile === undefined)
    throw configInvalid('Daemon needs a LogFile, since its other output is discarded');
  if (processArguments().some(hasStrayBytes)) {
    throw configInvalid('with Daemon, paths that are not UTF-8 must be in the configuration file');
  }
  await startInBackground({ failure: 'LISTEN_FAILED', what: 'the server' });
}
