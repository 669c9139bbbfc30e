/** A text at the end of an archive that names each missing entry, so that nobody takes the archive for complete. */
import { randomBytes } from 'node:crypto';
import { displayName, displayText } from '../model/index.js';
import type { RestoreFailure } from './progress.js';

const NAME = 'MISSING-FROM-THIS-ARCHIVE';
const ENDING = '.txt';
const SLASH = 0x2f;
/** Maximum number of entries that are named; of the others, only the number is given. */
const MAX_NAMED = 10_000;
const MARK_BYTES = 8;

export class MissingNote {
  private isTaken = false;

  /** Records a path in the archive. If it is the name of the note, the note gets another name. */
  meet(path: Buffer): void {
    if (path.length !== NAME.length + ENDING.length || path.includes(SLASH)) return;
    if (path.toString('latin1').toUpperCase() === `${NAME}${ENDING}`.toUpperCase()) {
      this.isTaken = true;
    }
  }

  /**
   * Returns the name of the note. If an entry of the archive has this name, the note gets a random mark in its name.
   */
  get name(): Buffer {
    const mark = this.isTaken ? `-${randomBytes(MARK_BYTES).toString('hex')}` : '';
    return Buffer.from(`${NAME}${mark}${ENDING}`);
  }
}

/** Returns the text for some failures. Each name is on one line, whatever its bytes. */
export function missingText(failures: readonly RestoreFailure[]): Buffer {
  const named = failures.slice(0, MAX_NAMED).map(({ path, error: { code, message } }) => {
    return `${displayName(path)}: ${displayText(message)} [${code}]`;
  });
  const others = failures.length - named.length;
  const [count, are] =
    failures.length === 1 ? ['An entry', 'is'] : [`${failures.length} entries`, 'are'];
  const head =
    `${count} ${are} missing from this archive, or ${are} of an earlier backup. ` +
    'The same holds for all that is below a directory named here.';
  const more = others > 0 ? [`… and ${others} more`] : [];
  return Buffer.from(`${[head, '', ...named, ...more].join('\n')}\n`);
}
