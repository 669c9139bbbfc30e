/** The settings of a server that runs. They are read again when a signal requests it. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { formatValue, resolveSettings, rowsOf, type Settings } from '../../config/index.js';
import { asTardisError } from '../../errors/index.js';
import type { RenewableOptions } from '../../server/index.js';
import { byteText, processEnvironment } from '../../system/index.js';
import { daemonOptions } from './daemon-options.js';

type ServerSettings = Settings<'tardisd'>;

/** Settings that a server cannot change while it runs: its place, its user, its addresses and its files. */
const FIXED = [
  'database',
  'catalogFile',
  'user',
  'group',
  'umask',
  'daemon',
  'pidFile',
  'logFile',
  'verbose',
  'listenAddress',
  'port',
  'localSocket',
  'ssl',
  'insecureTcp',
  'insecureNetwork',
  'certFile',
  'keyFile',
  'makeCertificate',
  'single',
  'timeoutSeconds',
  'loginTimeoutSeconds',
  'storageThreads',
  'profileSessions',
  'profilesKept',
  'remote',
  'besidePort',
  'metricsPort',
  'metricsAddress',
  'compress',
  'trustedProxies',
  'allowCache',
] as const satisfies readonly (keyof ServerSettings)[];
const NEEDS_RESTART: ReadonlySet<string> = new Set(FIXED);

export class LiveSettings {
  /** `used` is what the server made of the settings that it was `given` at its start. */
  constructor(
    private given: ServerSettings,
    private readonly used: ServerSettings,
    private readonly log: Logger,
  ) {}

  /**
   * Reads the settings again. Returns options for the daemon; undefined if no setting has changed that it can change, or if
   * the settings are invalid. Then the log has the reason, and the former ones stay in use.
   */
  read(): RenewableOptions | undefined {
    try {
      const found = resolveSettings('tardisd', {
        commandLine: commandLineOf(this.given),
        environment: processEnvironment(),
      });
      const options = daemonOptions({ ...found, ...fixedOf(this.used) });
      const changed = changedNames(this.given, found);
      this.given = found;
      const later = changed.filter((name) => NEEDS_RESTART.has(name));
      if (later.length > 0) {
        this.log.warn({ settings: later }, 'these settings changed, and need a restart');
      }
      const now = changed.filter((name) => !NEEDS_RESTART.has(name));
      if (now.length === 0) return undefined;
      this.log.info({ settings: now }, 'changed settings are in use');
      return options;
    } catch (error) {
      const { code, message } = asTardisError(error);
      const what = 'the settings cannot be read again, and the former ones stay in use';
      this.log.error({ code, reason: message }, what);
      return undefined;
    }
  }
}

/** Returns the texts of the options with which the server was started. */
function commandLineOf({ sources }: ServerSettings): Map<string, string[]> {
  const rows = rowsOf('tardisd').flatMap(([name, row]): [string, string[]][] => {
    const found = sources.get(name);
    if (found?.source !== 'command line') return [];
    const { value } = found;
    const isList = Array.isArray(value) && !Buffer.isBuffer(value);
    if (!isList) return [[name, [formatValue(value, row)]]];
    return [[name, value.map((item) => (typeof item === 'string' ? item : byteText(item)))]];
  });
  return new Map(rows);
}

function fixedOf(settings: ServerSettings): Pick<ServerSettings, (typeof FIXED)[number]> {
  return Object.fromEntries(FIXED.map((name) => [name, settings[name]])) as Pick<
    ServerSettings,
    (typeof FIXED)[number]
  >;
}

function changedNames(before: ServerSettings, after: ServerSettings): string[] {
  const valueOf = (settings: ServerSettings, name: string): unknown =>
    settings.sources.get(name)?.value;
  const names = rowsOf('tardisd').map(([name]) => name);
  return names.filter((name) => !isDeepStrictEqual(valueOf(before, name), valueOf(after, name)));
}
