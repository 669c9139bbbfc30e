/** Notes a run of `tardis`: the sources that it is given, those that its configuration has, and how it ended. */
import {
  type BackupResult,
  type BackupSources,
  type RunReport,
  sourcePaths,
} from '../../client/index.js';
import { givenWords, hasOwnExcludes, type Settings } from '../../config/index.js';
import { unlessBug, type TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { countErrors, displayName, encodeWords, type RunWords } from '../../model/index.js';
import { nodeSystem } from '../../system/index.js';
import { openThere } from '../opening/history.js';
import { RunNote } from '../opening/run-note.js';
import { remotePlace } from '../opening/server.js';
import { configuredSettings, sourcesOf } from '../shared/configured.js';

type Options = Settings<'tardis'>;

/** Errors of a command line that somebody types, which say nothing about the backups. */
const OF_COMMAND_LINE: readonly string[] = ['USAGE', 'CLIENT_EXISTS'];

export class BackupNote {
  private readonly note: RunNote;
  private readonly configured: BackupSources | undefined;

  /** Begins the run of a backup to a store of this machine, or to the server if that is undefined. */
  constructor(
    private readonly settings: Options,
    store: Buffer | undefined,
  ) {
    const { client, server, catalogFile, ifDue } = settings;
    const openThere = store === undefined ? () => openedThere(settings) : undefined;
    const found = unlessBug(() => configuredSettings(settings)); // a fault of the file is reported where it counts
    this.configured = found && sourcesOf(found);
    const place = { client, server, store, catalogFile, openThere };
    this.note = RunNote.begin('backup', place, { isDue: ifDue, isWhole: this.isWhole });
  }

  /** The records that the store gets with the end of the set. */
  get report(): RunReport {
    const { note, configured } = this;
    return { run: { ...note.run, ...this.words() }, earlier: note.earlier(), configured };
  }

  /** The paths of what the configuration has; undefined if there is none. */
  get roots(): readonly Buffer[] | undefined {
    return this.configured && pathsOf(this.configured);
  }

  /** True if the run is given all that its configuration has, and no excludes of its own; undefined if there is no configuration. */
  get isWhole(): boolean | undefined {
    if (this.roots !== undefined && hasOwnExcludes(this.settings)) return false;
    const given = pathsOf(sourcesOf(this.settings));
    return this.roots?.every((root) => given.some((path) => path.equals(root)));
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
    else await this.note.failed(error, { isWhole: this.isWhole, ...this.given() });
  }

  private given(): RunWords {
    const rules = givenWords('tardis', this.settings);
    return { roots: pathsOf(sourcesOf(this.settings)).map(displayName), ...(rules && { rules }) };
  }

  private words(): { words?: string } {
    const words = encodeWords(this.given());
    return words === undefined ? {} : { words };
  }
}

/** Returns the paths of sources; none if a command line is wrong, whose run does not count. */
function pathsOf(sources: BackupSources): Buffer[] {
  return unlessBug(() => sourcePaths(sources)) ?? [];
}

/** Opens the client at its server without a question. Throws the errors of the login. */
async function openedThere(settings: Options): Promise<History> {
  return openThere(
    nodeSystem(),
    await remotePlace(settings.server, { ...settings, neverPrompts: true }),
  );
}
