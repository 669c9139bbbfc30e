/** Schemas of the values in requests and replies of the API. Types, checks and docs/server/api.md are made from them. */
import { type Static, Type } from 'typebox';

/**
 * Maximum number of characters in a value of a query. A path has at most 4096 bytes, each of which takes up to three
 * characters.
 */
export const MAX_PATH_CHARS: number = 3 * 4096;

/** Returns a field that may be absent, with its description. */
export const optionalText = (description: string) => Type.Optional(Type.String({ description }));
export const optionalInteger = (description: string) =>
  Type.Optional(Type.Integer({ description }));
export const optionalBoolean = (description: string) =>
  Type.Optional(Type.Boolean({ description }));
export const optionalNumber = (description: string) => Type.Optional(Type.Number({ description }));

const name = Type.String({ description: 'The name as text; bytes that are not UTF-8 are U+FFFD.' });
const nameBytes = optionalText('The bytes of the name in base64, only if it is not UTF-8.');
const path = Type.String({ description: 'The path as text; bytes that are not UTF-8 are U+FFFD.' });
const pathBytes = optionalText('The bytes of the path in base64, only if it is not UTF-8.');
const sizeBytes = Type.Integer({ minimum: 0 });
const timeMs = Type.Number({ description: 'Milliseconds since 1970.' });

export const ENTRY_TYPES = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'characterDevice',
  'blockDevice',
] as const;

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'A code of docs/damage/errors.md.' }),
    detail: Type.String(),
    guidance: Type.String({ description: 'The next step for the user.' }),
    retryAfterSeconds: Type.Optional(Type.Integer()),
  },
  { description: 'An error, as application/problem+json.' },
);

export const Entry = Type.Object({
  name,
  nameBytes,
  type: Type.Enum([...ENTRY_TYPES]),
  sizeBytes,
  modifiedNs: Type.String({ description: 'Nanoseconds since 1970, in decimal.' }),
  permissions: Type.Integer({ description: 'The twelve permission bits.' }),
  uid: Type.Integer(),
  gid: Type.Integer(),
  firstSet: Type.Integer({ description: 'The first set with this version.' }),
  lastSet: optionalInteger('The last set with this version; absent while it is current.'),
  digest: optionalText('Digest of the content in hex; not in directories.'),
  target: optionalText('Target of a symbolic link.'),
  targetBytes: Type.Optional(Type.String()),
  isSparse: Type.Optional(Type.Boolean()),
  isReadable: optionalBoolean('False if the content is not for this reader.'),
  isDamaged: optionalBoolean(
    'True if the content is missing or marked as damaged; absent if a server has the catalog.',
  ),
  damage: optionalText('The reason why only the name is meaningful.'),
});
export type Entry = Static<typeof Entry>;

export const BackupSet = Type.Object({
  set: Type.Integer(),
  name: Type.String(),
  state: Type.Enum(['complete', 'unfinished']),
  openedAtMs: timeMs,
  closedAtMs: Type.Optional(timeMs),
  stats: Type.Record(Type.String(), Type.Number()),
  tags: Type.Array(Type.String()),
  isLocked: Type.Boolean(),
  priority: Type.Integer(),
  unread: Type.Integer({
    description: 'Number of entries that the backup could not read, or only in part.',
  }),
  requestedBy: optionalText(
    'The administrator who requested the backup from its server, as CLIENT/ACCOUNT.',
  ),
  isDoubtful: Type.Boolean({ description: 'True if damage may have taken entries of the set.' }),
  changed: Type.Object(
    { filesRead: Type.Optional(Type.Number()), sentBytes: Type.Optional(Type.Number()) },
    { description: 'Figures of what the backup found new or changed, as far as they are known.' },
  ),
});
export type BackupSet = Static<typeof BackupSet>;

export const Client = Type.Object({
  name: Type.String({
    description:
      'The name in addresses. In tardis-web, that of a client in another store or on another server ends in `@` and 8 hex digits.',
  }),
  place: optionalText('The store or the server; absent in the first one.'),
  completeSets: optionalInteger('Absent if it is not known.'),
  lastSet: Type.Optional(Type.Integer()),
  lastCompletedMs: Type.Optional(timeMs),
  state: Type.Enum(['good', 'running', 'warned', 'late', 'failed', 'never', 'unknown'], {
    description: 'The state that `tardis status` and the metrics show, too.',
  }),
  reason: Type.String({ description: 'Why the client has this state, as a sentence.' }),
  advice: Type.String({ description: 'What to do, as sentences; empty if nothing is.' }),
  cause: Type.Object(
    {
      code: Type.Enum([
        'good',
        'running',
        'unread',
        'damaged',
        'quota',
        'disk',
        'ahead',
        'late',
        'lacking',
        'copy',
        'cut',
        'failed',
        'never',
        'unseen',
        'closed',
      ]),
      ageMs: Type.Optional(Type.Number()),
      allowedMs: Type.Optional(Type.Number()),
      beganMs: Type.Optional(Type.Number()),
      count: Type.Optional(Type.Number()),
      ofCount: Type.Optional(Type.Number()),
      bytes: Type.Optional(Type.Number()),
      ofBytes: Type.Optional(Type.Number()),
      error: Type.Optional(Type.String()),
      detail: Type.Optional(Type.String()),
    },
    {
      description:
        'What the state follows from, for other languages: the age of what is saved, the one from which the client is late, the age of a run that failed or was cut off, a number of entries, or of directories and of how many, bytes of a quota (used) or a disk (free) and of how many, the code and the words of an error.',
    },
  ),
  lateAfterMs: Type.Number({
    description:
      'Age of the newest complete set from which the client is late; 0 if none is known.',
  }),
  encrypts: Type.Boolean(),
  proof: Type.Optional(
    Type.Object(
      {
        code: Type.Enum(['restored', 'old', 'none'], {
          description: 'Restored in the last half year, before that, or never.',
        }),
        checkedAtMs: optionalNumber('Time at which a check has last read data again.'),
        readShare: optionalNumber(
          'Share of the data that checks have read in the last 7 days, from 0 to 1.',
        ),
        allReadSinceMs: optionalNumber('All data was read at this time or later.'),
        restoredAtMs: optionalNumber(
          'Time at which files were last restored and all of their contents had the right digests.',
        ),
        reason: Type.String({ description: 'A sentence.' }),
        read: Type.String({ description: 'How much of the data checks have read, in words.' }),
        advice: Type.String({ description: 'What to do; empty if nothing is.' }),
      },
      {
        description:
          'The last proof that the backups can be restored; absent if the client cannot be read.',
      },
    ),
  ),
  space: Type.Optional(
    Type.Object(
      {
        quotaBytes: Type.Number({ description: 'Bytes that the account may use.' }),
        accountBytes: Type.Number({ description: 'Bytes that all of its clients use.' }),
        usedBytes: Type.Number({ description: 'Bytes that this client uses.' }),
      },
      { description: 'The quota of the account that owns the client; absent without one.' },
    ),
  ),
  requestedAtMs: optionalNumber(
    'Time at which an administrator requested a backup that did not begin yet.',
  ),
  requestedBy: optionalText('That administrator, as CLIENT/ACCOUNT.'),
  fault: optionalText('Code of the error that hides the client now.'),
  seenAtMs: optionalNumber('Time of which the figures are, if an error hides the client now.'),
});
export type Client = Static<typeof Client>;

export const Store = Type.Object({
  availableBytes: optionalNumber('Free bytes of the disk of the store, for users other than root.'),
  totalBytes: optionalNumber('Size of that disk.'),
  certificateEndsAtMs: optionalNumber(
    'Time at which the certificate of this connection expires; absent without TLS.',
  ),
});
export type Store = Static<typeof Store>;

export const Root = Type.Object({ path, pathBytes });
export const RootsFound = Type.Object({ roots: Type.Array(Root) });
export type RootsFound = Static<typeof RootsFound>;
export const Note = Type.Object({
  path,
  pathBytes,
  what: Type.String({ description: 'What happened, such as `unreadable`.' }),
  reason: Type.String({ description: 'The code of the error of the system, or a short reason.' }),
});
export const NotesFound = Type.Object({ notes: Type.Array(Note), total: Type.Integer() });
export type NotesFound = Static<typeof NotesFound>;
export const Directory = Type.Object({
  entries: Type.Array(Entry),
  next: optionalText('Give it as `after` for the next page.'),
  total: optionalInteger('Number of entries of the whole directory, if it was counted.'),
});
export type Directory = Static<typeof Directory>;

export const Version = Type.Object({
  firstSet: Type.Integer(),
  lastSet: Type.Optional(Type.Integer()),
  set: optionalInteger(
    'The newest listed set with this version; absent if all of them were deleted.',
  ),
  entry: Entry,
});
export type Version = Static<typeof Version>;

export const Found = Type.Object({
  path,
  pathBytes,
  entry: Entry,
  firstSet: Type.Integer(),
  lastSet: Type.Optional(Type.Integer()),
  set: Type.Integer({ description: 'The newest listed set that has it.' }),
});
export type Found = Static<typeof Found>;
export const FoundPage = Type.Object({
  found: Type.Array(Found),
  next: Type.Optional(Type.String()),
});
export type FoundPage = Static<typeof FoundPage>;

export const Change = Type.Object({
  path,
  pathBytes,
  kind: Type.Enum(['new', 'gone', 'changed']),
  before: Type.Optional(Entry),
  after: Type.Optional(Entry),
  aspects: Type.Optional(Type.Array(Type.String())),
});
export type Change = Static<typeof Change>;
export const ChangesPage = Type.Object({
  from: optionalInteger('The earlier set; absent if there is none before.'),
  changes: Type.Array(Change),
  unread: Type.Array(Type.String(), { description: 'Paths that could not be compared.' }),
  next: Type.Optional(Type.String()),
});
export type ChangesPage = Static<typeof ChangesPage>;

export const Sizes = Type.Object({
  files: Type.Integer({ description: 'Number of files below.' }),
  bytes: Type.Number({
    description: 'Bytes of those files. One with several names counts at each.',
  }),
  newBytes: Type.Number({ description: 'Bytes of those that are new or changed since.' }),
  earlierBytes: Type.Number({ description: 'Bytes of the files in the earlier set.' }),
});
export type Sizes = Static<typeof Sizes>;

export const SizedDirectory = Type.Object({ path, pathBytes, ...Sizes.properties });
export type SizedDirectory = Static<typeof SizedDirectory>;
export const SizesFound = Type.Object({
  isCounted: Type.Boolean({ description: 'False if the reader may not see every entry.' }),
  since: optionalInteger('The earlier set.'),
  sizes: Type.Optional(Sizes),
  directories: Type.Array(SizedDirectory),
  more: Type.Integer({ description: 'Number of directories that are left out.' }),
});
export type SizesFound = Static<typeof SizesFound>;

export const Space = Type.Object({
  sets: Type.Array(
    Type.Object({
      set: Type.Integer(),
      openedAtMs: Type.Number(),
      closedAtMs: Type.Optional(Type.Number()),
      scannedBytes: Type.Number(),
      storedBytes: Type.Number(),
      sentBytes: Type.Number(),
    }),
  ),
  figures: Type.Record(Type.String(), Type.Number(), {
    description: 'The figures of `sonic stats --json`.',
  }),
});
export type Space = Static<typeof Space>;

export const PurgePreview = Type.Object({
  isClockInDoubt: Type.Boolean(),
  freedBytes: optionalNumber(
    'Bytes of contents that only these sets need. Absent if the catalog is elsewhere, or nothing would be deleted.',
  ),
  unusedTags: Type.Array(Type.String()),
  stored: Type.Record(Type.String(), Type.String(), {
    description: 'The settings that are stored with the client, rules among them, by their keys.',
  }),
  sets: Type.Array(
    Type.Object({
      set: Type.Integer(),
      isDeleted: Type.Boolean(),
      reasons: Type.Array(
        Type.Object({
          why: Type.String(),
          what: Type.Optional(Type.String()),
          which: Type.Optional(Type.String()),
        }),
      ),
    }),
  ),
});
export type PurgePreview = Static<typeof PurgePreview>;

export const Session = Type.Object({
  program: Type.Enum(['tardisremote', 'tardis-web']),
  client: Type.Optional(Type.String()),
  account: Type.Optional(Type.String()),
  canRestore: Type.Boolean(),
  offers: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'Acts that the program offers: `backup` with the configuration of `tardis setup`, `change` of sets in a store that can be changed, `mount` on this machine; `administer` if `tardisd` itself answers, which administers its clients.',
    }),
  ),
  rights: Type.Array(Type.String()),
  storeWords: optionalText('Options by which a command finds the store; only tardis-web has them.'),
  mountPoint: optionalText(
    'Directory to mount the client at, for a user who names none; only tardis-web.',
  ),
  doubts: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Warnings about answers so far that nothing proves; only tardis-web has them.',
    }),
  ),
});
export type Session = Static<typeof Session>;

/** Absolute path in percent-encoded bytes. */
export const PathQuery = Type.String({
  minLength: 1,
  maxLength: MAX_PATH_CHARS,
  description: 'Absolute path, in percent-encoded bytes.',
});
/** Paths of one restore or archive. */
export const PathQueries = Type.Array(PathQuery, { minItems: 1, maxItems: 10_000 });
/** Maximum number of bytes of a request with them: enough for as many paths of usual length. */
export const MAX_PATHS_BODY_BYTES: number = 4 << 20;
export const LIMIT = Type.Integer({ minimum: 1, maximum: 10_000, default: 1000 });
export const Cursor = Type.String({ maxLength: MAX_PATH_CHARS, description: '`next` of a page.' });

export const DeletedPage = Type.Object({
  deleted: Type.Array(
    Type.Object({
      entry: Entry,
      lastSet: Type.Integer({ description: 'The last set with a version at the path.' }),
    }),
  ),
  next: optionalText('Give it as `after` for the next page.'),
});
export type DeletedPage = Static<typeof DeletedPage>;

export const DeletedQuery = Type.Object({
  path: PathQuery,
  limit: LIMIT,
  after: Type.Optional(Cursor),
});

/** Words of a rule, as the command line takes them; none for no rule. */
const rule = (pattern: string) => Type.Optional(Type.String({ maxLength: 1000, pattern }));
const keptCount = rule(String.raw`^\d{0,6}$`);
const time = rule(String.raw`^(\d{1,6}(h|d|w|m|mo|y))?$`);
const numbers = rule(String.raw`^[\d, ]*$`);
/** Rules by the keys under which a client stores them. */
export const PurgeRules = Type.Object(
  {
    KeepLast: keptCount,
    KeepHourly: keptCount,
    KeepDaily: keptCount,
    KeepWeekly: keptCount,
    KeepMonthly: keptCount,
    KeepYearly: keptCount,
    KeepWithin: time,
    EndedAfter: time,
    KeepPeriods: numbers,
    Priorities: numbers,
    KeepTags: rule(String.raw`^([^\-\u0000-\u001f\u007f][^\u0000-\u001f\u007f]*)?$`),
  },
  { additionalProperties: false },
);
