/** Makes the paths of settings independent of the working directory, which a mount in the background leaves. */
import { isBucketText, type Settings } from '../../config/index.js';
import { absolutePath, byteText, textBytes } from '../../system/index.js';
import { isPasswordUrl } from '../shared/password.js';

type MountSettings = Settings<'tardisfs'>;

/**
 * Returns the settings with absolute paths. URLs of buckets and of password files stay, as does a program that is found
 * by PATH.
 */
export function withAbsolutePaths(settings: MountSettings): MountSettings {
  const { database, passwordFile, passwordProg, keysFile, bucketCa, logFile } = settings;
  const isStore = database.length > 0 && !isBucketText(byteText(database));
  const isFile = passwordFile !== undefined && !isPasswordUrl(passwordFile);
  return {
    ...settings,
    database: isStore ? absolutePath(database) : database,
    passwordFile: isFile ? absolutePath(passwordFile) : passwordFile,
    passwordProg: passwordProg && withProgram(passwordProg),
    keysFile: keysFile && absolutePath(keysFile),
    bucketCa: bucketCa && absolutePath(bucketCa),
    logFile: logFile && absolutePath(logFile),
  };
}

function withProgram([program = '', ...words]: readonly string[]): string[] {
  const isPath = program.includes('/');
  return [isPath ? byteText(absolutePath(textBytes(program))) : program, ...words];
}
