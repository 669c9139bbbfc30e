/** Requests and replies of the routes that only the server on loopback has. */
import { type Static, Type } from 'typebox';
import {
  MAX_PATH_CHARS,
  optionalBoolean,
  optionalInteger,
  optionalText,
  PathQueries,
  PathQuery,
  PurgeRules,
  Root,
} from '../api/schemas.js';

/** Maximum number of failures of a restore that are reported one by one. */
export const MAX_FAILURES = 100;

const count = Type.Integer({ minimum: 0 });

/** The name of a client in addresses. */
export const ClientName = Type.String({ maxLength: 256 });

export const RestoreBody = Type.Object({
  client: ClientName,
  set: Type.Integer({ minimum: 1 }),
  paths: PathQueries,
  output: Type.Optional(
    Type.String({
      maxLength: MAX_PATH_CHARS,
      description: 'Absolute path of a directory; without one, the original places.',
    }),
  ),
  overwrite: Type.Enum(['refuse', 'never', 'newer', 'older', 'always']),
  comparesContents: Type.Boolean(),
  isPreview: Type.Boolean({ description: 'True to count what would be done, and change nothing.' }),
});
export type RestoreBody = Static<typeof RestoreBody>;

/** Acts, by the names of their commands. */
const ACT_KINDS = [
  'backup',
  'check',
  'lock',
  'tag',
  'delete',
  'forget',
  'withdraw',
  'purge',
  'mount',
  'setup',
  'test-report',
] as const;

export const JobState = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['restore', 'preview', 'archive', 'download', ...ACT_KINDS]),
  client: Type.String({ description: 'The client, by its name in addresses.' }),
  state: Type.Enum(['running', 'done', 'failed', 'stopped']),
  set: optionalInteger('The set that is read; absent in acts.'),
  command: optionalText('The command of an act, as one types it in a terminal.'),
  latest: optionalText('The progress of a running command, as it prints it.'),
  report: optionalText('What the command reports that it did.'),
  result: Type.Optional(
    Type.Object(
      {
        code: Type.Enum([...ACT_KINDS, 'unlock', 'quick-check']),
        n: Type.Optional(Type.Integer()),
      },
      {
        description:
          'What an act has done, for other languages: `n` sets or paths, the number of the new set, or of the versions of files that a check has found lost.',
      },
    ),
  ),
  log: Type.Array(Type.String(), { description: 'The last lines that the command has printed.' }),
  hasWarnings: Type.Boolean({
    description: 'True if the command has done its work, and has warned.',
  }),
  canUndo: Type.Boolean({ description: 'True if the job can be undone.' }),
  paths: Type.Array(Root, { description: 'The first paths.' }),
  pathCount: count,
  output: optionalText('The directory that is restored into, unless in place, or mounted at.'),
  elapsedMs: count,
  totalBytes: optionalInteger('Number of bytes that a restore writes in all, if it is known.'),
  progress: Type.Object({
    directories: count,
    files: count,
    links: count,
    bytes: count,
    unchanged: count,
    kept: count,
    failures: count,
  }),
  /** The first failures of the job, at most MAX_FAILURES. */
  failures: Type.Array(
    Type.Object({
      path: Type.String(),
      pathBytes: Type.Optional(Type.String()),
      code: Type.String(),
      message: Type.String(),
    }),
  ),
  error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
  losses: Type.Array(Type.String(), {
    description: 'Attributes that the file system of the target does not keep.',
  }),
  doubts: Type.Array(Type.String(), {
    description: 'Warnings about answers so far that nothing proves.',
  }),
});
export type JobState = Static<typeof JobState>;

/** Maximum number of sets of one act. */
const MAX_SETS = 1000;
const sets = Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: MAX_SETS });
const tags = Type.Array(Type.String({ minLength: 1, maxLength: 255, pattern: '^[^-]' }), {
  maxItems: 32,
});

export const CheckBody = Type.Object({
  readsAll: Type.Boolean({ description: 'True to read all data, too; else none is proven.' }),
  repairs: optionalBoolean('True to repair from parity first.'),
});
export const LockBody = Type.Object({ sets, isLocked: Type.Boolean() });
export const TagBody = Type.Object({ sets, addTags: tags, removeTags: tags });
export const DeletionBody = Type.Object({ sets });
export const ForgetBody = Type.Object({
  paths: Type.Array(PathQuery, { minItems: 1, maxItems: 100 }),
});

export const MountBody = Type.Object({
  directory: Type.String({
    maxLength: MAX_PATH_CHARS,
    pattern: String.raw`^/[^\u0000]*$`,
    description: 'Absolute path of an empty directory of this user. It is made if it is missing.',
  }),
});

export const PurgeBody = Type.Object({
  rules: PurgeRules,
  saves: Type.Boolean({
    description: 'True to store the rules with the client first, so that later purges use them.',
  }),
});

/** An answer in one line, so that it cannot contain another one. */
const answer = Type.Optional(
  Type.String({ maxLength: 16_384, pattern: String.raw`^[^\u0000-\u001f\u007f]*$` }),
);
/** Answers that are commands. Only a page on loopback changes them, since they run any program of this machine. */
export const HOOK_KEYS = ['HookBefore', 'HookAfter'] as const;
/** Answers of `tardis setup` that the page shows and changes, as one writes them in a file of answers. */
export const SETUP_KEYS = ['Sources', 'Exclude', 'When', 'Keep', 'Report', ...HOOK_KEYS] as const;
export type SetupAnswers = Partial<Record<(typeof SETUP_KEYS)[number], string>>;
export const SetupBody = Type.Object(
  Object.fromEntries(SETUP_KEYS.map((key) => [key, answer])) as Record<
    keyof SetupAnswers,
    typeof answer
  >,
  { additionalProperties: false, description: 'Answers of `tardis setup` (docs/using/setup.md).' },
);
