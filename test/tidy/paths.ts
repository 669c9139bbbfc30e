/** File calls that take a path, outside of `src/system`: each is a step at which another user could lead root astray. */

/**
 * Matches a call with a path that is not `at` of `onSafeWay`, nor one of the kernel's. Descriptors and files of the store have
 * calls of their own.
 */
const CALL =
  /\bfs\.(?:open|opendir|readFile|writeFile|appendFile|realpath|mkdir|mkdtemp|rename|rm|rmdir|unlink|stat|lstat|statfs|readdir|readlink|link|symlink|copyFile|cp|chmod|chown|lchown|utimes|lutimes|truncate|access|exists|watch|createReadStream|createWriteStream)(?:Sync)?(?:\.native)?\((?!at\b|[`']\/(?:proc|dev)\/)/g;

const SEEN = 'the status alone is used; what is opened later must be what was seen';
const OWN = 'the directory is of this user alone: a temporary one, or one of its state';
const SHOWN = 'it decides no more than a text for the user';

/** The files that may have such calls: how many, and the reason. */
const ALLOWED: Readonly<Record<string, readonly [calls: number, reason: string]>> = {
  'src/client/root-presence.ts': [4, SEEN],
  'src/client/roots.ts': [2, SEEN],
  'src/client/snapshots.ts': [1, SEEN],
  'src/client/stream-roots.ts': [1, SHOWN],
  'src/import/dated-trees.ts': [2, 'names are matched; a state is opened on a safe way'],
  'src/import/python/contents.ts': [2, OWN],
  'src/import/python/staging.ts': [2, OWN],
  'src/import/state-place.ts': [9, OWN],
  'src/mount/mounting.ts': [6, 'the mount is made on a safe way, and ended only if it is ours'],
  'src/pipeline/similar.ts': [1, OWN],
  'src/restore/target.ts': [3, SEEN],
  'src/server/login/certificate.ts': [6, 'written only where nobody else could exchange it'],
  'src/store/catalog/versions.ts': [2, 'a file of the program'],
  'src/store/client/client-lock.ts': [2, SEEN],
  'src/tools/opening/bucket.ts': [3, OWN],
  'src/tools/opening/run-note.ts': [3, OWN],
  'src/tools/output/terminal.ts': [1, 'the terminal of this process'],
  'src/tools/sonic/export-directory.ts': [1, SEEN],
  'src/tools/sonic/export.ts': [1, SHOWN],
  'src/tools/sonic/setup-places.ts': [4, SHOWN],
  'src/tools/tardis-import/import-sources.ts': [1, OWN],
  'src/tools/tardis-web/mount-point.ts': [4, 'the way to it is of this user alone'],
  'src/tools/tardis/inner-server.ts': [1, SEEN],
  'src/tools/tardis/other-verbs.ts': [1, SHOWN],
  'src/tools/tardis/sample-filter.ts': [1, 'a new file in the working directory'],
  'src/tools/tardis/saved-list.ts': [2, OWN],
  'src/tools/tardisd/server-process.ts': [1, 'the file was made as the user who could exchange it'],
  'src/transport/sockets.ts': [2, 'a stale socket alone is removed'],
};

/** Returns a line for a file whose number of such calls is not the one of the table. */
export function unsafePaths(file: string, text: string): string[] {
  if (!file.startsWith('src/') || file.startsWith('src/system/')) return [];
  const calls = text.match(CALL)?.length ?? 0;
  const [allowed = 0] = ALLOWED[file] ?? [];
  return calls === allowed ? [] : [`${file}: ${calls} calls with a path, ${allowed} allowed`];
}
