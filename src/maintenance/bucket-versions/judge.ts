/** Determines the state of each object of a store whose name is written only once. */
import { asTardisError } from '../../errors/index.js';
import { isOfLog } from '../../store/index.js';
import type { ObjectVersion, ObjectVersions } from '../../store/objects/index.js';
import { BoundedCache, keepLoading } from '../../system/index.js';
import { beginsAsCommit, type LogFacts, readLogFacts } from './log-facts.js';
import { type VersionedName, versionedNames } from './names.js';

/** Number of logs whose facts are kept in memory. */
const MOST_LOGS = 2;

/**
 * State of an object:
 * - `sound`: readers get the bytes of the version that counts (names.ts).
 * - `changed`: readers get other bytes.
 * - `hidden`: there is a delete marker that no commit explains.
 * - `freed`: a pack that a commit has deleted, or that no commit covers.
 * - `strange`: a name without a version that counts.
 * - `younger`: a name without a version that counts at the chosen time.
 */
type State = 'sound' | 'changed' | 'hidden' | 'freed' | 'strange' | 'younger';

export interface Judged extends VersionedName {
  readonly state: State;
  /**
   * Returns false for an object that certainly no writer of this package made, or that no commit covers. May read the
   * object, and the log of its client. A damaged object counts as made by this package.
   */
  isOurs(): Promise<boolean>;
}

export interface JudgeOptions {
  /** End of the examined time, in ms since 1970: versions and commits that were stored later do not count. */
  readonly untilMs: number;
  /** True if each pack is looked up in the log, not only packs that were changed or hidden. */
  readonly isStrict: boolean;
  /** Called with each current version of an object in the clients' folder that no program of this package makes. */
  readonly onStranger?: (version: ObjectVersion) => void;
}

/** Yields all objects of a store that are created once, with their states. */
export async function* judged(
  versions: ObjectVersions,
  options: JudgeOptions,
): AsyncGenerator<Judged> {
  const judge = new Judge(versions, options);
  const { onStranger } = options;
  const strangers = (version: ObjectVersion): void => {
    if (version.isLatest && !version.isMark) onStranger?.(version);
  };
  for await (const name of versionedNames(versions, undefined, strangers)) {
    yield { ...name, state: await judge.stateOf(name), isOurs: () => judge.isOurs(name) };
  }
}

class Judge {
  /** Facts from the logs that were read last. Names are sorted, so the packs of a generation follow each other. */
  private readonly logs = new BoundedCache<string, LogFacts | Promise<LogFacts>>(MOST_LOGS);

  constructor(
    private readonly versions: ObjectVersions,
    private readonly options: JudgeOptions,
  ) {}

  async stateOf(name: VersionedName): Promise<State> {
    const { latest, oldest } = name;
    if (oldest === undefined) return 'strange';
    if (oldest.modifiedMs > this.options.untilMs) return 'younger';
    const isSound = latest.id === oldest.id || (await this.hasBytesOf(latest, oldest));
    if (isSound && !this.options.isStrict) return 'sound';
    if (await this.isFreed(name)) return 'freed';
    if (isSound) return 'sound';
    return latest.isMark ? 'hidden' : 'changed';
  }

  /**
   * True if readers get equal bytes from two versions. Equal tags prove that. Versions with different tags may also be
   * equal, so their bytes are read.
   */
  private async hasBytesOf(latest: ObjectVersion, oldest: ObjectVersion): Promise<boolean> {
    if (latest.isMark || latest.sizeBytes !== oldest.sizeBytes) return false;
    if (latest.tag !== '' && latest.tag === oldest.tag) return true;
    const [one, other] = [await this.checksumOf(latest), await this.checksumOf(oldest)];
    // The bytes of the oldest version may have been damaged since, and the latest version may be their healed copy.
    return one?.isRight === true && other !== undefined && one.sha256 === other.sha256;
  }

  /**
   * Reads a version, and returns the checksum that it was stored with, and whether its bytes match; undefined if it has
   * no checksum.
   */
  private async checksumOf(
    version: ObjectVersion,
  ): Promise<{ readonly sha256: string; readonly isRight: boolean } | undefined> {
    try {
      const source = await this.versions.source(version);
      return source && { sha256: Buffer.from(source.sha256).toString('hex'), isRight: true };
    } catch (error) {
      const { code, context } = asTardisError(error);
      if (code !== 'OBJECT_DAMAGED') throw error;
      const { sha256 } = context;
      return typeof sha256 === 'string' ? { sha256, isRight: false } : undefined;
    }
  }

  private async isFreed(name: VersionedName): Promise<boolean> {
    const { generation, pack, commit, isSnapshot = false } = name;
    const isInLog = pack !== undefined && isOfLog(pack);
    // The log has all that a deleted copy of the catalog had.
    if (isSnapshot && name.latest.isMark) return true;
    if (pack === undefined && generation === undefined && !isSnapshot) return false;
    const { isWhole, covered, deleted, movedAt } = await this.factsOf(name);
    // The last object of a log names the next generation. It stays; all else of the generation is unneeded.
    if (movedAt !== undefined) return commit !== movedAt;
    if (pack === undefined || isInLog) return false;
    return deleted.has(pack) || (isWhole && !covered.has(pack));
  }

  /**
   * Determines the result of `Judged.isOurs` for a name: false if certainly no writer of this package made the object,
   * or no commit covers it.
   */
  async isOurs(name: VersionedName): Promise<boolean> {
    const { pack, commit, oldest, isSnapshot = false } = name;
    if (isSnapshot || oldest === undefined) return true;
    if (pack !== undefined && commit === undefined) {
      const { isWhole, isGapless, covered } = await this.factsOf(name);
      return !isWhole || !isGapless || covered.has(pack);
    }
    try {
      const source = await this.versions.source(oldest);
      return (
        source !== undefined && (commit === undefined || (await beginsAsCommit(source, commit)))
      );
    } catch (error) {
      if (asTardisError(error).code !== 'OBJECT_DAMAGED') throw error;
      return true;
    }
  }

  private factsOf({ client, generation }: VersionedName): LogFacts | Promise<LogFacts> {
    const key = `${client}/${generation ?? ''}`;
    const known = this.logs.get(key);
    if (known !== undefined) return known;
    const { untilMs } = this.options;
    return keepLoading(
      this.logs,
      key,
      readLogFacts(this.versions, { client, generation }, untilMs),
    );
  }
}
