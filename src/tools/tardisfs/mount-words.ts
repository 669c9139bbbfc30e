/** Translates the options of a mount (`-o name=value,…`) to long options, which are in the table of settings. */
import { isBucketText, refuseAbsent, rowsOf, type Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { absolutePath, byteText, textBytes } from '../../system/index.js';
import { isPasswordUrl } from '../opening/password.js';

/** Options of mount(8) and of FUSE that have no effect: every mount is read-only, and ignores setuid bits. */
const WITHOUT_MEANING = new Set(
  `defaults ro rw user users nouser owner group auto noauto nofail _netdev exec suid nosuid dev nodev
   async sync dirsync atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime
   lazytime nolazytime silent loud iversion noiversion mand nomand nonempty kernel_cache auto_cache
   async_read sync_read big_writes large_read direct_io max_read max_readahead entry_timeout
   attr_timeout negative_timeout hard_remove use_ino readdir_ino auto_unmount fsname subtype comment
   user_id group_id`.split(/\s+/),
);
/** Other names of long options, mostly of the predecessor. */
const ALIASES: Readonly<Record<string, string>> = {
  pwfile: 'password-file',
  pwprog: 'password-prog',
  path: 'database',
  passwordfile: 'password-file',
  passwordprog: 'password-prog',
  host: 'client',
  log: 'logfile',
};
/** Options whose value is optional. */
const OPTIONAL_VALUE = new Set(['password']);

/**
 * Returns the words, in which each `-o list` is replaced by long options. If the first word is a bucket (mount(8) puts
 * the source there), it is replaced by the option for it. Throws USAGE.
 */
export function mountWords(words: readonly string[]): string[] {
  const [source = ''] = words;
  const isBucket = isBucketText(source);
  const translated: string[] = isBucket ? [`--database=${source}`] : [];
  for (let index = isBucket ? 1 : 0; index < words.length; index += 1) {
    const word = words[index]!;
    if (word === '--') return [...translated, ...words.slice(index)];
    const list = attachedList(word);
    if (list !== undefined) translated.push(...listWords(list));
    else if (word === '-o' || word === '--options') {
      index += 1;
      const next = words[index];
      if (next === undefined) throw usageError(`${word} needs options`);
      translated.push(...listWords(next));
    } else if (word === '-help')
      translated.push('--help'); // as the predecessor and other mounts by libfuse take it
    else if (word === '-n' || word === '-s')
      continue; // an option of mount(8) without an effect here
    else translated.push(word);
  }
  return translated;
}

/** Returns the list in `-oLIST` or `--options=LIST`. */
function attachedList(word: string): string | undefined {
  if (word.startsWith('--options=')) return word.slice('--options='.length);
  return /^-o./.test(word) ? word.slice(2) : undefined;
}

function listWords(list: string): string[] {
  const options = list.match(/(?:\\.|[^,\\])+/g) ?? [];
  const all = options.map((text) => text.replaceAll(/\\(.)/g, '$1'));
  const hasClient = all.some((option) => /^(client|host)=/.test(option));
  return all.flatMap((option) => optionWords(option, hasClient));
}

function optionWords(option: string, hasClient: boolean): string[] {
  const equals = option.indexOf('=');
  const name = equals < 0 ? option : option.slice(0, equals);
  const value = equals < 0 ? undefined : option.slice(equals + 1);
  if (name === 'path' && value !== undefined && !hasClient) return clientDirectoryWords(value);
  if (WITHOUT_MEANING.has(name) || name.startsWith('x-')) return [];
  const long = ALIASES[name] ?? name.replaceAll('_', '-');
  const flags = rowsOf('tardisfs').find(([, row]) => longOf(row.flags) === long)?.[1];
  const negated = /^no-?(.+)$/.exec(long)?.[1];
  const isNegated = rowsOf('tardisfs').some(
    ([, row]) => row.negatable === true && longOf(row.flags) === negated,
  );
  if (flags === undefined && isNegated && value === undefined) return [`--no-${negated!}`];
  if (flags === undefined || long === 'options') {
    refuseAbsent('mount option', name, '-o');
    throw usageError(`there is no mount option "${name}"`);
  }
  const isFlag = flags.type === 'bool' || flags.type === 'count';
  if (isFlag) {
    if (value !== undefined) throw usageError(`option "${name}" takes no value`);
    return [`--${long}`];
  }
  if (value === undefined || (value === '' && OPTIONAL_VALUE.has(long))) {
    if (OPTIONAL_VALUE.has(long)) return [`--${long}`];
    throw usageError(`option "${name}" needs a value: ${name}=…`);
  }
  return [`--${long}=${value}`];
}

/** Returns the options that `path=STORE/CLIENT` means, a form of the first releases of the predecessor. */
function clientDirectoryWords(place: string): string[] {
  const [, store, client] = /^(.*[^/])\/+([^/]+)\/*$/.exec(place) ?? [];
  if (store === undefined) throw usageError('option "path" needs STORE/CLIENT');
  return [`--database=${store}`, `--client=${client}`];
}

function longOf(flags: string | undefined): string | undefined {
  return /--([a-z-]+)/.exec(flags ?? '')?.[1];
}

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
