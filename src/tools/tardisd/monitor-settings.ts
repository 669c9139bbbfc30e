/** Converts the server's settings for alerts and metrics. */
import net from 'node:net';
import { configInvalid, type Settings } from '../../config/index.js';
import { displayLine } from '../../model/index.js';
import { checkMailSettings } from '../../notify/index.js';
import type { WatchPlan } from '../../server/index.js';
import { isClientName } from '../../store/index.js';
import { absolutePath, byteText } from '../../system/index.js';

/**
 * Returns the plan for alerts and metrics; undefined if nothing is enabled, or if the server ends after one session.
 * Throws CONFIG_INVALID.
 */
export function watchPlan(settings: Settings<'tardisd'>): WatchPlan | undefined {
  const { overdueSeconds, hookOverdue, hookFailure, metricsFile, metricsPort } = settings;
  const overdueFor = new Map(settings.overdueFor.map(parseOverdueFor));
  if (!net.isIP(settings.metricsAddress)) {
    throw configInvalid('MetricsAddress must be an IP address of this machine');
  }
  checkMailSettings(settings);
  const knowsOverdue = overdueSeconds > 0 || overdueFor.size > 0;
  if (hookOverdue !== undefined && !knowsOverdue) {
    throw configInvalid('HookOverdue needs OverdueAfter or OverdueFor');
  }
  const isNotified = settings.mailTo.length > 0 || hookFailure !== undefined;
  const isMeasured = metricsFile !== undefined || metricsPort !== undefined;
  if (settings.single || !(knowsOverdue || isNotified || isMeasured)) return undefined;
  return {
    intervalMs: settings.watchSeconds * 1000,
    overdueAfterMs: overdueSeconds * 1000,
    overdueFor,
    metricsFile: metricsFile === undefined ? undefined : byteText(absolutePath(metricsFile)),
    metricsAddress:
      metricsPort === undefined ? undefined : { host: settings.metricsAddress, port: metricsPort },
    notices: {
      hookFailure,
      hookOverdue,
      hookTimeoutMs: settings.hookSeconds * 1000,
      mailTo: settings.mailTo,
      mailFrom: settings.mailFrom,
      mailCommand: settings.mailCommand,
    },
  };
}

function parseOverdueFor(text: string): [client: string, afterMs: number] {
  const [, client = '', seconds] = /^([^=]*)=(\d{1,9})$/.exec(text) ?? [];
  if (seconds !== undefined && isClientName(client)) return [client, Number(seconds) * 1000];
  const shown = displayLine(text.slice(0, 80));
  throw configInvalid(`OverdueFor: "${shown}" is not of the form client=seconds`);
}
