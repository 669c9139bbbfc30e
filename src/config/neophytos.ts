/**
 * Maps each option of Neophytos' client to its replacement in this program. docs/coming-from/neophytos.md is generated
 * from it, and a user who types one of these options is shown the replacement.
 */

interface NeophytosRow {
  readonly option: string;
  /** Value of the option in Neophytos. */
  readonly value?: string;
  /** The replacement here, as code; undefined if there is none. */
  readonly ours: string | undefined;
  readonly why: string;
  /** True if the same option exists here. */
  readonly isOurs?: true;
}

export const NEOPHYTOS: readonly NeophytosRow[] = [
  {
    option: '--push',
    ours: 'tardis',
    why: 'a separate command; it makes a backup set, and older sets stay as they are',
  },
  {
    option: '--pull',
    ours: 'regenerate',
    why: 'a separate command; of existing files it fetches only the changed parts',
  },
  {
    option: '--lpath',
    value: '<local path>',
    ours: 'tardis DIRECTORY, regenerate --output DIRECTORY',
    why: 'the directories to back up (several may be given), or the directory to restore to',
  },
  {
    option: '--rpath',
    value: '<remote path>',
    ours: 'tardis --kept-as PATH, regenerate --last PATH',
    why: 'the target: the path under which a directory is stored. Each of several directories may have one, in one run or in several; without it a directory is stored under its own path',
  },
  {
    option: '--password',
    value: '<authorization code>',
    ours: '--password, --password-file FILE',
    why: 'the password is never sent to the server; other users can see a command line, so put the password into a file',
    isOurs: true,
  },
  {
    option: '--authcode',
    value: '<authorization code>',
    ours: '--password-file FILE, --client NAME, --account NAME',
    why: 'an authorization code combined user and password: here a client has a name and a password, and can have further accounts with names, passwords and rights of their own (sonic account)',
  },
  {
    option: '--sync-rdel',
    ours: 'tardis',
    why: 'always done: a deleted file is not in the next set, and stays in earlier sets until they are deleted. It cannot be switched off, since a set could then not be restored as it was',
  },
  { option: '--host', value: '<host>', ours: '--server HOST', why: 'default: localhost' },
  { option: '--port', value: '<port>', ours: '--port N', why: 'default: 7420', isOurs: true },
  {
    option: '--cipher',
    value: '<ciphers>',
    ours: undefined,
    why: 'TLS 1.3 only, whose ciphers are all good, so there is nothing to choose. Contents are also encrypted before they are sent (--crypt)',
  },
  {
    option: '--filter-file',
    value: '<file>',
    ours: '--filter-file FILE',
    why: 'lines of the same format (docs/using/filters.md)',
    isOurs: true,
  },
  {
    option: '--make-sample-filter-file',
    ours: '--make-sample-filter-file',
    why: 'writes filter.example, as in Neophytos',
    isOurs: true,
  },
  {
    option: '--no-ssl',
    ours: '--nossl --insecure-tcp, --insecure-network',
    why: 'plain TCP also needs --insecure-tcp (over loopback) or --insecure-network (over a network)',
    isOurs: true,
  },
  {
    option: '--debug',
    ours: '--verbose, --stats, --explain-config',
    why: 'these show the walk, where the time goes, and where each setting comes from; a server has Verbose, and a bug always shows its stack',
  },
  {
    option: '--no-sformat',
    ours: undefined,
    why: 'the stash held older versions. Here all versions are stored in the same packs; to keep no older versions, delete the older sets (sonic delete)',
  },
];

/** Options of Neophytos that do not exist here. */
export const NEOPHYTOS_ONLY: readonly NeophytosRow[] = NEOPHYTOS.filter(
  ({ isOurs }) => isOurs !== true,
);
