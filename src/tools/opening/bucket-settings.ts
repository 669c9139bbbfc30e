/** The settings of the bucket of a command, from which the server that it starts gets its own. */
import type { ServerSettings } from '../../client/index.js';
import { absolutePath, byteText } from '../../system/index.js';

export interface BucketChoice {
  readonly database: Buffer;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly addressing: 'auto' | 'path' | 'host';
  readonly bucketCa: Buffer | undefined;
  readonly singleWriter: boolean;
  readonly lockDays: number;
  /** Undefined for commands that store nothing. */
  readonly parityPercent?: number | undefined;
}

/** The bucket of this command, which has one store. */
let noted: BucketChoice | undefined;

/** Records the bucket of this command. */
export function noteBucket(settings: BucketChoice): void {
  noted = settings;
}

/** Returns the settings with which a local server uses the bucket that `noteBucket` recorded; undefined if the store is a directory. */
export function bucketSettings(): ServerSettings | undefined {
  return noted && serverSettings(noted);
}

function serverSettings(settings: BucketChoice): ServerSettings {
  const { database, endpoint, region, addressing, bucketCa, singleWriter, lockDays } = settings;
  const given: [string, string | undefined][] = [
    ['database', byteText(database)],
    ['endpoint', endpoint],
    ['region', region],
    ['addressing', addressing],
    ['bucketCa', bucketCa === undefined ? undefined : byteText(absolutePath(bucketCa))],
    ['singleWriter', singleWriter ? 'true' : undefined],
    ['lockDays', lockDays > 0 ? String(lockDays) : undefined],
  ];
  return new Map(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]]])));
}
