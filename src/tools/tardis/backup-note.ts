/** Notes a run of `tardis`: the sources that it is given, those that its configuration has, and how it ended. */
import {
  type BackupResult,
  type BackupSources,
  type RunReport,
  sourcePaths,
} from '../../client/index.js';
import { givenWords, hasOwnExcludes, type Settings } from '../../config/index.js';
import { unlessBug, type TardisError } from '../../errors/index.js';
import {
  countErrors,
  displayName,
  encodeWords,
  lateSeconds,
  type RunWords,
} from '../../model/index.js';
import { openUnasked } from '../opening/history.js';
import { RunNote } from '../opening/run-note.js';
import { configuredSettings, sourcesOf } from '../shared/configured.js';

type Options = Settings<'tardis'>;

/** Errors of a command line that somebody types, which say nothing about the backups. */
const OF_COMMAND_LINE: readonly string[] = ['USAGE', 'CLIENT_EXISTS'];

export class BackupNote {
  /** The paths of what the configuration has; undefined if there is none. */
  readonly roots: readonly Buffer[] | undefined;
  /** True if the run is given all that its configuration has, and no excludes of its own; undefined if there is no configuration. */
  readonly isWhole: boolean | undefined;
  private readonly note: RunNote;
  private readonly configured: BackupSources | undefined;
  /** The paths and rules that the run is given. */
  private readonly words: RunWords;

  /** Begins the run of a backup to a store of this machine, or to the server if that is undefined. */
  constructor(settings: Options, store: Buffer | undefined) {
    const { client, server, catalogFile, ifDue } = settings;
    const openThere = store === undefined ? () => openUnasked(server, settings) : undefined;
    const found = unlessBug(() => configuredSettings(settings)); // a fault of the file is reported where it counts
    this.configured = found && sourcesOf(found);
    this.roots = this.configured && pathsOf(this.configured);
    const given = pathsOf(sourcesOf(settings));
    const isAll = this.roots?.every((root) => given.some((path) => path.equals(root)));
    this.isWhole = isAll && !hasOwnExcludes(settings);
    const rules = givenWords('tardis', settings);
    this.words = { roots: given.map(displayName), ...(rules && { rules }) };
    const place = { client, server, store, catalogFile, openThere };
    const lateAfterMs = lateSeconds(found?.schedule, found?.overdueSeconds) * 1000;
    const numbers = lateAfterMs === 0 ? {} : { lateAfterMs };
    this.note = RunNote.begin('backup', place, { isDue: ifDue, isWhole: this.isWhole, numbers });
  }

  /** The records that the store gets with the end of the set. */
  get report(): RunReport {
    const { note, configured } = this;
    const run = { ...note.run, words: encodeWords(this.words) };
    return { run, earlier: note.earlier(), configured };
  }

  /** Forgets the records that the store got with the end of a set. If it could not add them, they wait. */
  async saved({ run, earlier }: RunReport, result: BackupResult): Promise<void> {
    const { progress, set, isRecorded } = result;
    if (isRecorded) this.note.forget([run, ...earlier]);
    else await this.note.done(countErrors(progress) > 0, { numbers: { set } });
  }

  /** Ends the run without a set, or as no run: a backup that has to wait, or a command line that is wrong. */
  async failed(error: TardisError, counts: boolean): Promise<void> {
    const isTyped = this.note.run.way === 'hand' && OF_COMMAND_LINE.includes(error.code);
    if (!counts || isTyped) this.note.forget();
    else await this.note.failed(error, this.words);
  }
}

/** Returns the paths of sources; none if a command line is wrong, whose run does not count. */
function pathsOf(sources: BackupSources): Buffer[] {
  return unlessBug(() => sourcePaths(sources)) ?? [];
}
