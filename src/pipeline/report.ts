/** Tells who asked for it each entry that is saved, by its path. */
import { EntryType, joinPath, RowReader } from '../model/index.js';
import { type HashOutput, type ParcelInput, runOf } from '../workers/index.js';

/** Called for each file, link and the like (not for directories) whose new version is sent. */
export type OnSaved = (path: Buffer) => void;

/**
 * What tells a parcel's entries when its hash job is done; made before, since the job takes the paths
 * with it. Nothing is copied when nobody asked.
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
