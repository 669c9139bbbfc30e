/**
 * What each option of Neophytos' client is here. docs/neophytos.md is made from it, and who types one of them is told
 * what to write.
 */

export interface NeophytosRow {
  readonly option: string;
  /** What follows it there. */
  readonly value?: string;
  /** What is written here, as code; undefined: nothing has its place. */
  readonly ours: string | undefined;
  readonly why: string;
  /** Ours has the very same name. */
  readonly isOurs?: true;
}

export const NEOPHYTOS: readonly NeophytosRow[] = [
  {
    option: '--push',
    ours: 'tardis',
    why: 'a command of its own; it makes a backup set, and older sets stay as they were',
  },
  {
    option: '--pull',
    ours: 'regenerate',
    why: 'a command of its own; of files that are there already only what changed is fetched',
  },
  {
    option: '--lpath',
    value: '<local path>',
    ours: 'tardis DIRECTORY, regenerate --output DIRECTORY',
    why: 'what is backed up, of which several may be named; or where it is restored to',
  },
  {
    option: '--rpath',
    value: '<remote path>',
    ours: 'tardis --kept-as PATH, regenerate --last PATH',
    why:
      'the target: the path that a directory is kept under. Several directories may have one each, in one run or in several; ' +
      'without it a directory is kept under its own path',
  },
  {
    option: '--password',
    value: '<authorization code>',
    ours: '--password, --password-file FILE',
    why: 'proven to the server without sending it; what stands on a command line can be seen by others, so it is better in a file',
    isOurs: true,
  },
  {
    option: '--authcode',
    value: '<authorization code>',
    ours: '--password-file FILE, --client NAME, --account NAME',
    why:
      'an authorization code was user and password in one: here a client has a name and a password, and further accounts of it ' +
      'have names, passwords and rights of their own (sonic account)',
  },
  {
    option: '--sync-rdel',
    ours: 'tardis',
    why:
      'always: a set shows what was there, so what was deleted is not in the next set, and stays in those before until they are ' +
      'deleted. There is no way to leave it out, since no set could then be restored as it was',
  },
  {
    option: '--host',
    value: '<host>',
    ours: '--server HOST',
    why: 'localhost if none is named',
  },
  {
    option: '--port',
    value: '<port>',
    ours: '--port N',
    why: '7420 if none is named',
    isOurs: true,
  },
  {
    option: '--cipher',
    value: '<ciphers>',
    ours: undefined,
    why: 'TLS 1.3 only, whose ciphers are all good: there is nothing to choose. Contents are encrypted before they leave, too (--crypt)',
  },
  {
    option: '--filter-file',
    value: '<file>',
    ours: '--filter-file FILE',
    why: 'lines of the same form (docs/filters.md)',
    isOurs: true,
  },
  {
    option: '--make-sample-filter-file',
    ours: '--make-sample-filter-file',
    why: 'writes filter.example, as there',
    isOurs: true,
  },
  {
    option: '--no-ssl',
    ours: '--nossl --insecure-tcp, --insecure-network',
    why: 'plain TCP is refused unless it is allowed by name as well: over loopback, or, by the other one, over a network',
    isOurs: true,
  },
  {
    option: '--debug',
    ours: '--verbose, --stats, --explain-config',
    why:
      'what is walked, where the time goes, and where each setting comes from; a server has Verbose, and a bug shows its stack ' +
      'without being asked',
  },
  {
    option: '--no-sformat',
    ours: undefined,
    why: 'the stash was where older versions went. Here every version lies in the same packs, and a store without older versions is one whose older sets are deleted (sonic delete)',
  },
];

/** Options of Neophytos that are none here. */
export const NEOPHYTOS_ONLY: readonly NeophytosRow[] = NEOPHYTOS.filter(
  ({ isOurs }) => isOurs !== true,
);
