/** Reports the path of each saved entry to the caller. */
import { EntryType, joinPath, RowReader } from '../model/index.js';
import { type HashOutput, type ParcelInput, runOf } from '../workers/index.js';

/** Called for each entry whose new version is sent, except for directories. */
export type OnSaved = (path: Buffer) => void;

/**
 * Returns a function that reports a parcel's entries when its hash job is done. Create it before the job, since the job
 * takes the paths away. Without `onSaved` nothing is copied.
 */
export function savedReporter(
  { paths, pathEnds }: ParcelInput,
  onSaved: OnSaved | undefined,
): (output: HashOutput) => void {
  if (onSaved === undefined) return () => undefined;
  const copy = Buffer.from(paths);
  const ends = pathEnds.slice();
  return (output) => {
    const rows = new RowReader(output.rows);
    let at = 0;
    output.rowEnds.forEach((end, section) => {
      const directory = runOf(copy, ends, section);
      for (; at < end; at += rows.rowBytes(at)) {
        if (rows.type(at) !== EntryType.directory) onSaved(joinPath(directory, rows.name(at)));
      }
    });
  };
}
