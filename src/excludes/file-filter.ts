/** Compiles the filter file of a backup, once for all jobs of a thread. */
import { type FilterFile, FilterRules, isSameFile, parseFilterFile } from './filter-rules.js';

let last: { readonly file: FilterFile; readonly rules: FilterRules } | undefined;

/** Returns the compiled rules of the file. Throws CONFIG_INVALID. */
export function fileFilter(file: FilterFile | undefined): FilterRules | undefined {
  if (file === undefined) return undefined;
  if (last === undefined || !isSameFile(last.file, file)) {
    last = { file, rules: new FilterRules(parseFilterFile(file)) };
  }
  return last.rules;
}
