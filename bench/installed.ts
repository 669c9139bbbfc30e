import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** True if a program of this name is in one of the directories of PATH. */
export function isInstalled(program: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.some(
    (directory) => directory !== '' && isExecutable(join(directory, program)),
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
