/** The histories that `tardis` imports: dated directories, and the stores of Tardis (Python). */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { datedTrees, ProgramPlace, Repository, type RepositoryKind } from '../../import/index.js';
import { OriginalStore, Staging } from '../../import/python/index.js';
import { displayName, displayText, joinPath } from '../../model/index.js';
import { absolutePath, byteText, nodeSystem, textBytes } from '../../system/index.js';
import { givenPassword } from '../opening/password.js';

type Options = Settings<'tardis'>;

/** A state of a source: it becomes a set. */
export interface State {
  readonly dateMs: number;
  /** Name of its set. */
  readonly name: string;
  readonly priority: number;
  readonly tags: readonly string[];
  /** Place of the state, for the user. */
  readonly shown: string;
}

/** A directory of a state, and the path under which it is stored. */
export interface StateRoot {
  readonly directory: Buffer;
  readonly keptAs: Buffer;
}

export interface ShownState {
  readonly roots: readonly StateRoot[];
  /** Entries that the source has but cannot give. */
  readonly lacks: readonly string[];
}

export interface ImportSource extends Disposable {
  /** Oldest first. */
  readonly states: readonly State[];
  /** Makes a state appear in directories, until the next one does. */
  show(state: State): Promise<ShownState>;
}

/**
 * Opens the source that the settings name. Throws USAGE, the errors of `datedTrees`, and those of opening a store or a
 * repository.
 */
export async function openSource(settings: Options, signal: AbortSignal): Promise<ImportSource> {
  const { importedSets, importedStore, importedRepository } = settings;
  if (importedSets !== undefined) return datedSource(importedSets, settings.keptAs[0]!);
  if (importedStore !== undefined) return pythonSource(settings, importedStore);
  return repositorySource(importedRepository!, signal);
}

const REPOSITORY = /^(restic|borg):(.+)$/s;

/** Opens a repository. Its archives appear in a directory of this user below TMPDIR. */
async function repositorySource(given: string, signal: AbortSignal): Promise<ImportSource> {
  const [, kind, named] = REPOSITORY.exec(given) ?? [];
  if (kind === undefined || named === undefined) {
    const what = `--import-repository: "${displayText(given)}"`;
    throw new TardisError('USAGE', `${what} is neither restic:REPOSITORY nor borg:REPOSITORY`);
  }
  // The programs run in another directory.
  const full = path.resolve(named);
  const place = fs.existsSync(full) ? full : named;
  const repository = await Repository.open(kind as RepositoryKind, place, signal);
  const states = repository.archives.map((archive) => ({
    archive,
    dateMs: archive.dateMs,
    name: archive.name,
    priority: 0,
    tags: [],
    shown: `${given}, ${displayText(archive.id)}`,
  }));
  const shown = new ProgramPlace(os.tmpdir());
  return {
    states,
    show: async (state) => {
      const { archive } = states.find((one) => one === state)!;
      await repository.show(archive, shown, signal);
      const top = byteText(shown.directory);
      const roots = archive.paths.map((root) => ({
        directory: textBytes(top + root),
        keptAs: textBytes(root),
      }));
      return { roots: roots.length > 0 ? roots : rootsIn(top), lacks: [] };
    },
    [Symbol.dispose]: () => shown[Symbol.dispose](),
  };
}

function datedSource(pattern: Buffer, keptAs: Buffer): ImportSource {
  const states = datedTrees(pattern, Date.now()).map(({ directory, dateMs }) => ({
    directory,
    dateMs,
    name: `${displayName(keptAs)} ${new Date(dateMs).toISOString().replace('.000Z', 'Z')}`,
    priority: 0,
    tags: [],
    shown: displayName(directory),
  }));
  return {
    states,
    show: (state) => {
      const { directory } = states.find((one) => one === state)!;
      return Promise.resolve({ roots: [{ directory, keptAs }], lacks: [] });
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Opens a client's directory of Tardis (Python). Its sets appear in a directory of this user below TMPDIR. */
async function pythonSource(settings: Options, directory: Buffer): Promise<ImportSource> {
  const system = nodeSystem();
  const place = byteText(absolutePath(directory));
  const store = await OriginalStore.open(system, {
    directory: place,
    password: () => passwordOf(settings, place),
  });
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-import-'));
  const [shown, scratch] = [path.join(home, 'set'), path.join(home, 'scratch')];
  for (const made of [shown, scratch]) fs.mkdirSync(made, { mode: 0o700 });
  const staging = new Staging(system, store, { directory: shown, scratch });
  const sets = store.catalog.sets().filter(({ isComplete }) => isComplete);
  const states = sets.map((set) => ({
    set,
    dateMs: Math.floor(set.begunMs / 1000) * 1000,
    name: set.name,
    priority: set.priority,
    tags: store.tagsOf(set),
    shown: `${place}, set ${set.number}`,
  }));
  return {
    states,
    show: async (state) => {
      const { problems, problemCount } = await staging.show(
        states.find((one) => one === state)!.set,
      );
      const lacks = problems.map((one) => `${displayName(one.path)}: ${one.reason}`);
      if (problemCount > problems.length) lacks.push(`and ${problemCount - problems.length} more`);
      return { roots: rootsIn(shown), lacks };
    },
    [Symbol.dispose]: () => {
      staging[Symbol.dispose]();
      store[Symbol.dispose]();
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Returns the directories at the top of a set. The original keeps each with the way to it from the root of the system. */
function rootsIn(shown: string): StateRoot[] {
  const top = textBytes(shown);
  return fs.readdirSync(top, { encoding: 'buffer' }).map((name) => ({
    directory: joinPath(top, name),
    keptAs: joinPath(Buffer.from('/'), name),
  }));
}

/** Returns the password of a store that is imported. */
async function passwordOf(settings: Options, place: string): Promise<Buffer> {
  const { importedPasswordFile: passwordFile } = settings;
  const source = settings.sources.get('importedPasswordFile');
  const named = {
    passwordFile,
    password: source === undefined ? '' : undefined,
    passwordProg: undefined,
    sources: new Map(
      source === undefined
        ? [['password', { source: 'command line', value: '', where: '' }] as const]
        : [['passwordFile', source] as const],
    ),
  };
  const given = await givenPassword(named, { prompt: `Password of ${place}`, isNew: false });
  if (given !== undefined) return given;
  throw new TardisError('PASSWORD_NEEDED', `${place} encrypts: give --import-password-file`);
}
