/** The histories that `tardis-import` brings over: dated directories, stores of Tardis (Python), repositories of restic and borg. */
import fs from 'node:fs';
import type { Settings } from '../../config/index.js';
import { asTardisError, TardisError, usageError } from '../../errors/index.js';
import {
  type Archive,
  Borg,
  type DatedState,
  datedTrees,
  namedSource,
  Programs,
  Restic,
  showTar,
  StatePlace,
} from '../../import/index.js';
import { OriginalStore, Staging } from '../../import/python/index.js';
import {
  displayName,
  displayText,
  joinPath,
  lastComponent,
  SLASH_BYTES,
} from '../../model/index.js';
import { absolutePath, byteText, nodeSystem, pathWithoutLinks } from '../../system/index.js';
import { askPassword, givenPassword } from '../opening/password.js';

type Options = Settings<'tardis-import'>;

/** A state of a source: it becomes a set. */
export interface State {
  readonly dateMs: number;
  /** Name of its set. */
  readonly name: string;
  readonly priority?: number;
  readonly tags?: readonly string[];
  /** True if its set cannot be deleted. */
  readonly isLocked?: boolean;
  /** Place of the state, for the user. */
  readonly shown: string;
  /** Makes it appear in directories, until another one does. */
  show(): Promise<ShownState>;
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
  /** States that cannot come, such as those without a date. */
  readonly leftOut?: readonly string[];
  /** Returns the bytes that a program has written for the state that it makes appear. */
  writtenBytes?(): number;
}

/**
 * Opens the source that the settings name. Throws IMPORT_SOURCE_UNKNOWN, the errors of `datedTrees`, and those of opening a
 * store or a repository.
 */
export async function openSource(settings: Options, signal: AbortSignal): Promise<ImportSource> {
  const { importedSets, importedSource, keptAs } = settings;
  if (importedSets !== undefined) return datedSource(importedSets, keptAs[0], signal);
  const { kind, place } = namedSource(byteText(importedSource!));
  if (kind === 'tardis') return pythonSource(settings, place);
  return repositorySource(settings, { kind, place }, signal);
}

/**
 * Opens a repository. Its archives appear in a directory of this user below TMPDIR. For a comparison each is restored anew,
 * so that it shows a fault of what the import wrote there.
 */
async function repositorySource(
  options: Options,
  { kind, place }: { readonly kind: 'restic' | 'borg'; readonly place: string },
  signal: AbortSignal,
): Promise<ImportSource> {
  const { prompt, ...settings } = passwordOf(options, place);
  const password = {
    given: await givenPassword(settings, { prompt, isNew: false }),
    prompt: () => passwordTyped(prompt, signal),
  };
  const programs = new Programs(signal);
  const repository = new (kind === 'restic' ? Restic : Borg)(place, programs);
  const { dated, undated } = await repository.archives(password);
  const { verifySets: isAnew, sourceHost } = options;
  const shown = new StatePlace();
  return {
    states: ofOneHost(dated, sourceHost).map((archive) => ({
      dateMs: wholeSecond(archive.dateMs),
      name: archive.name,
      shown: `${kind}:${displayText(place)}, ${displayText(archive.id)}`,
      show: async () => {
        const { saved, lacks } = await repository.show(archive, shown, { isAnew });
        const roots = saved.map((root) => rootAt(shown.directory, root));
        return { roots: roots.length > 0 ? roots : rootsIn(shown.directory), lacks };
      },
    })),
    leftOut: undated
      .filter(({ host }) => host === (sourceHost ?? host))
      .map(({ name }) => `${displayText(name)}: it has no date`),
    writtenBytes: () => programs.writtenBytes(),
    [Symbol.dispose]: () => shown[Symbol.dispose](),
  };
}

/**
 * Returns the archives of a machine. Throws USAGE if there are none, and if there are several machines of which none was named:
 * their files would come into one client.
 */
function ofOneHost(archives: readonly Archive[], host: string | undefined): readonly Archive[] {
  const counts = new Map<string, number>();
  for (const one of archives) counts.set(one.host, (counts.get(one.host) ?? 0) + 1);
  const shown = [...counts].map(([name, count]) => `"${displayText(name)}" (${count})`).join(', ');
  if (host === undefined) {
    if (counts.size <= 1) return archives;
    const advice = 'name one by --source-host, each for a client of its own (-C NAME --create)';
    throw usageError(`the repository has archives of several machines, ${shown}: ${advice}`);
  }
  const found = archives.filter((one) => one.host === host);
  if (found.length > 0) return found;
  throw usageError(`the repository has no archives of "${displayText(host)}", but of ${shown}`);
}

/**
 * Opens dated directories, or tar files, which are unpacked one after the other in a directory of this user below TMPDIR. Throws
 * USAGE if the path of directories is not known.
 */
function datedSource(
  pattern: Buffer,
  keptAs: Buffer | undefined,
  signal: AbortSignal,
): ImportSource {
  const states = datedTrees(pattern, Date.now());
  if (keptAs === undefined && states.some(({ isTar }) => !isTar)) {
    const why = 'give the path that the directory had, by one --kept-as';
    throw usageError(why);
  }
  const unpacked = states.some(({ isTar }) => isTar) ? new StatePlace() : undefined;
  const programs = new Programs(signal);
  const rootsOf = async ({ place, isTar }: DatedState): Promise<StateRoot[]> => {
    const directory = isTar ? unpacked!.directory : pathWithoutLinks(place, 'SOURCE_UNSAFE');
    if (isTar) await showTar(absolutePath(place), unpacked!, programs);
    return keptAs === undefined ? rootsIn(directory) : [{ directory, keptAs }];
  };
  return {
    states: states.map((state) => ({
      dateMs: state.dateMs,
      name: `${displayName(keptAs ?? lastComponent(state.place))} ${new Date(state.dateMs).toISOString().replace('.000Z', 'Z')}`,
      shown: displayName(state.place),
      show: async () => ({ roots: await rootsOf(state), lacks: [] }),
    })),
    writtenBytes: () => programs.writtenBytes(),
    [Symbol.dispose]: () => unpacked?.[Symbol.dispose](),
  };
}

/** Opens a client's directory of Tardis (Python). Its sets appear in a directory of this user below TMPDIR. */
async function pythonSource(settings: Options, place: string): Promise<ImportSource> {
  const system = nodeSystem();
  const store = await OriginalStore.open(system, {
    directory: place,
    password: async () => {
      const { prompt, ...given } = passwordOf(settings, place);
      return (await givenPassword(given, { prompt, isNew: false })) ?? passwordTyped(prompt);
    },
  });
  const shown = new StatePlace();
  const directories = { directory: byteText(shown.directory), scratch: shown.beside('scratch') };
  const staging = new Staging(system, store, directories);
  const sets = store.catalog.sets().filter(({ isComplete }) => isComplete);
  return {
    states: sets.map((set) => ({
      dateMs: wholeSecond(set.begunMs),
      name: set.name,
      priority: set.priority,
      isLocked: set.isLocked,
      tags: store.tagsOf(set),
      shown: `${place}, set ${set.number}`,
      show: async () => {
        const { problems, problemCount } = await staging.show(set);
        const lacks = problems.map((one) => `${displayName(one.path)}: ${one.reason}`);
        const more = problemCount - problems.length;
        if (more > 0) lacks.push(`and ${more} more`);
        return { roots: rootsIn(shown.directory), lacks };
      },
    })),
    [Symbol.dispose]: () => {
      staging[Symbol.dispose]();
      store[Symbol.dispose]();
      shown[Symbol.dispose]();
    },
  };
}

/** Returns a date in whole seconds, as names of sets have it. */
function wholeSecond(dateMs: number): number {
  return Math.floor(dateMs / 1000) * 1000;
}

/** Returns the directories at the top of a set. The original keeps each with the way to it from the root of the system. */
function rootsIn(top: Buffer): StateRoot[] {
  return fs.readdirSync(top, { encoding: 'buffer' }).map((name) => rootAt(top, name));
}

function rootAt(top: Buffer, path: Buffer): StateRoot {
  const directory = path.length === 0 ? top : joinPath(top, path);
  return { directory, keptAs: Buffer.concat([SLASH_BYTES, path]) };
}

/** Prompts for the password of what is imported. Throws PASSWORD_NEEDED, which names the option for it, and INTERRUPTED. */
async function passwordTyped(prompt: string, signal?: AbortSignal): Promise<Buffer> {
  try {
    return await askPassword({ prompt, isNew: false }, signal);
  } catch (error) {
    if (asTardisError(error).code !== 'PASSWORD_NEEDED') throw error;
    const what = `${prompt}: give --source-password-file, or run this on a terminal`;
    throw new TardisError('PASSWORD_NEEDED', what, {}, error);
  }
}

/** Returns the settings of the password of what is imported, and the prompt for it. */
function passwordOf({ sources, sourcePasswordFile: passwordFile }: Options, place: string) {
  const file = sources.get('sourcePasswordFile');
  return {
    password: undefined,
    passwordFile,
    passwordProg: undefined,
    sources: new Map(file === undefined ? [] : [['passwordFile' as const, file]]),
    prompt: `Password of ${displayText(place)}`,
  };
}
