/** The filter file of a backup, compiled once for all the jobs of a thread. */
import { type FilterFile, FilterRules, isSameFile, parseFilterFile } from './filter-rules.js';

let last: { readonly file: FilterFile; readonly rules: FilterRules } | undefined;

/** Throws CONFIG_INVALID. */
export function fileFilter(file: FilterFile | undefined): FilterRules | undefined {
  if (file === undefined) return undefined;
  if (last === undefined || !isSameFile(last.file, file)) {
    last = { file, rules: new FilterRules(parseFilterFile(file)) };
  }
  return last.rules;
}
