import { existsSync } from 'node:fs';
import { measure } from '../measure.js';
import { UsageError } from '../options.js';
import type { Workplace } from '../workplace.js';
import type { Subject } from './subject.js';

/** Returns the subjects that can run here; prints a line for each of the others. */
export async function chooseSubjects(
  workplace: Workplace,
  candidates: readonly Subject[],
  print: (line: string) => void,
): Promise<{ subjects: Subject[]; versions: Record<string, string> }> {
  const subjects: Subject[] = [];
  const versions: Record<string, string> = {};
  for (const subject of candidates) {
    try {
      const { output } = await measure(subject.version, { logFile: workplace.log });
      versions[subject.name] = output.split('\n')[0] ?? '';
      subjects.push(subject);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isOurs = subject.name.startsWith('tardis');
      print(
        isOurs && !existsSync(subject.version.argv[0])
          ? `${subject.name}: not built`
          : `${subject.name}: skipped: ${why}`,
      );
    }
  }
  if (subjects.length === 0) {
    throw new UsageError('nothing to measure');
  }
  return { subjects, versions };
}
