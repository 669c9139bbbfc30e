/** The part of `sonic check` that reads the source again: it opens the client, compares, and reports. */
import {
  compareWithSource,
  newSourceCounts,
  type SourceCounts,
  type SourceFinding,
} from '../../restore/diff/index.js';
import type { Settings } from '../../config/index.js';
import { displayName, displayText, jsonName, type SetNumber } from '../../model/index.js';
import { nodeSystem } from '../../system/index.js';
import { withReports } from '../opening/history.js';
import { ProgressLine } from '../output/progress-line.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes, formatCount } from '../output/units.js';

/** Maximum number of lines printed; --json prints all. */
const MAX_SHOWN = 1000;

export interface SourceResult extends SourceCounts {
  readonly set: SetNumber;
}

/**
 * Compares the newest complete set with its source, and prints the differences. Throws NO_SUCH_SET, the errors of
 * opening the client, and INTERRUPTED.
 */
export async function checkSource(
  options: Settings<'sonic check'>,
  interrupted: () => AbortSignal,
): Promise<SourceResult> {
  const counts = newSourceCounts();
  using line = new ProgressLine(options.progress, () => progressText(counts));
  return await withReports(options, async (history) => {
    const set = await history.findSet(undefined);
    const signal = interrupted();
    let shown = 0;
    line.start();
    const request = { system: nodeSystem(), history, set, counts, signal };
    for await (const one of compareWithSource(request)) {
      shown += 1;
      if (options.json) printJson(jsonOf(one));
      else if (shown <= MAX_SHOWN) {
        line.clear();
        print(displayText(textOf(one)));
      }
    }
    line.stop();
    if (!options.json && shown > MAX_SHOWN) {
      print(`… and ${formatCount(shown - MAX_SHOWN)} more entries; --json lists all.`);
    }
    return { set: set.set, ...counts };
  });
}

function progressText({ files, bytes }: SourceCounts): string {
  return `comparing with the source: ${counted(files, 'file')}, ${formatBytes(bytes)}`;
}

/** True if the set differs from the source, or if the source or a part of it could not be compared. */
export function isSourceWrong(result: SourceResult | undefined): boolean {
  if (result === undefined) return false;
  return result.differing + result.unread > 0 || hasComparedNothing(result);
}

/**
 * True if no file was compared because all changed since the set was made. The source may not be mounted, or may have
 * been restored from elsewhere.
 */
function hasComparedNothing({ files, changed }: SourceResult): boolean {
  return files === 0 && changed > 0;
}

function jsonOf({ path, ...rest }: SourceFinding): object {
  return { ...rest, ...jsonName(path) };
}

function textOf({ what, path, aspects, why }: SourceFinding): string {
  const name = displayName(path);
  if (what === 'differs')
    return `differs: ${name} (${aspects.join(', ')}), although its times are the same`;
  return what === 'unsaved' ? `not in the set: ${name}` : `not compared: ${name}: ${why}`;
}

/** Returns the summary of a comparison. */
export function sourceLines(result: SourceResult): string[] {
  const { set, files, bytes, changed, differing, unsaved, unread } = result;
  const lines = [
    `Read ${counted(files, 'file')} of the source again, ${formatBytes(bytes)}, and compared with set ${set}; ` +
      `${counted(changed, 'entry', 'entries')} changed since.`,
  ];
  if (unsaved > 0) {
    const what = counted(unsaved, 'entry is', 'entries are');
    lines.push(
      `${what} older than the set but not in it: \`tardis --explain PATH\` shows the rule.`,
    );
  }
  if (unread > 0) lines.push(`${counted(unread, 'entry', 'entries')} could not be compared.`);
  if (differing > 0) {
    const what = counted(differing, 'entry differs', 'entries differ');
    lines.push(
      `${what} from the source. Restore one to another directory and compare; after \`touch\` the next backup saves it again.`,
    );
  } else if (hasComparedNothing(result)) {
    lines.push('Nothing was compared: every entry changed since the set was made, or is gone.');
  } else if (unread === 0) {
    lines.push('The set matches the source, except for what has changed since.');
  } else if (files > 0) {
    lines.push('Nothing that was compared differs from the source.');
  }
  return lines;
}
