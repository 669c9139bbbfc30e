/** The meaning of a system error: it follows from the operation, and not from the code alone. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  asTardisError,
  during,
  type ErrorCode,
  failedTo,
  fromSystem,
  isDiskFull,
  meant,
  type Operation,
  systemCode,
  TardisError,
  toWire,
} from '../../src/errors/index.js';
import { scratchInMemory, written } from '../helpers/scratch.js';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: it failed, open '/place'`), { code });
}

/** The codes that a system error has in each operation, in the order of CODES. */
const CODES = [
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'ENOSPC',
  'EDQUOT',
  'ENXIO',
] as const;
const ofAll = (code: ErrorCode, full: ErrorCode = 'DISK_FULL'): ErrorCode[] => [
  ...Array<ErrorCode>(5).fill(code),
  full,
  full,
  code,
];
const inStore = (refused: ErrorCode): ErrorCode[] => [
  ...Array<ErrorCode>(3).fill(refused),
  ...ofAll('STORE_UNSAFE').slice(3, 7),
  'IO_FAILED',
];
const refusedOnly = (refused: ErrorCode, code: ErrorCode): ErrorCode[] => [
  ...Array<ErrorCode>(3).fill(refused),
  ...ofAll(code).slice(3),
];
const MEANINGS: Readonly<Record<Operation, readonly ErrorCode[]>> = {
  unknown: [...ofAll('ACCESS_REFUSED').slice(0, 7), 'IO_FAILED'],
  readStore: inStore('STORE_NOT_READABLE'),
  writeStore: inStore('STORE_NOT_WRITABLE'),
  useCache: inStore('CACHE_NOT_WRITABLE'),
  openSource: ofAll('SOURCE_MISSING'),
  readSource: ofAll('SOURCE_UNREADABLE'),
  writeTarget: ofAll('TARGET_NOT_WRITABLE', 'TARGET_FULL'),
  useNamedFile: ofAll('CONFIG_INVALID'),
  readKeyFile: refusedOnly('ACCESS_REFUSED', 'KEY_FILE_INVALID'),
  writeKeyFile: ofAll('KEY_FILE_NOT_WRITTEN', 'KEY_FILE_NOT_WRITTEN'),
  useTemporary: ofAll('CONFIG_INVALID', 'TEMPORARY_FULL'),
};

for (const [name, expected] of Object.entries(MEANINGS)) {
  const operation = name as Operation;
  test(`${operation}: what each code means`, (t) => {
    for (const [at, code] of CODES.entries()) {
      const noted = meant(operation, systemError(code));
      t.is(asTardisError(noted).code, expected[at]!, code);
      t.is(toWire(noted).code, expected[at]!, `${code} on its way to another thread`);
      t.is(asTardisError(systemError(code), 'doing it', operation).code, expected[at]!, code);
    }
    for (const [code, ours] of [
      ['EIO', 'IO_FAILED'],
      ['EMFILE', 'TOO_MANY_OPEN_FILES'],
      ['SQLITE_CORRUPT', 'CATALOG_DAMAGED'],
      ['SQLITE_READONLY', 'STORE_NOT_WRITABLE'],
    ] as const) {
      t.is(asTardisError(meant(operation, systemError(code))).code, ours, code);
    }
  });
}

test('a limit of sizes is that of the process, or that of a file to read', (t) => {
  const code = (operation: Operation): string | undefined =>
    fromSystem(systemError('EFBIG'), '', operation)?.code;
  t.is(code('unknown'), 'FILE_TOO_LARGE');
  t.is(code('writeStore'), 'FILE_TOO_LARGE');
  t.is(code('useNamedFile'), 'CONFIG_INVALID');
  t.is(code('readKeyFile'), 'KEY_FILE_INVALID');
});

test('an unknown operation names the path and the system call, and never the store', (t) => {
  const file = written(scratchInMemory(t), 'file', '');
  const below = path.join(file, 'below');
  const errors = [
    t.throws(() => fs.openSync(below, 'r')),
    t.throws(() => fs.mkdirSync(below)),
    t.throws(() => fs.readFileSync(path.dirname(file))),
  ];
  for (const error of errors) {
    const { code, message, row } = asTardisError(error);
    t.is(code, 'ACCESS_REFUSED');
    t.regex(message, /(open|mkdir) '.*file|EISDIR.*read/);
    t.notRegex(row.guidance, /store/i);
  }
});

test('the operation nearest to the call counts, and the code stays for those who match it', async (t) => {
  const fail = (): never => {
    throw systemError('EACCES');
  };
  const error = t.throws(() => during('writeTarget', () => during('readStore', fail)));
  t.is(systemCode(error), 'EACCES');
  t.is(asTardisError(error, '', 'writeKeyFile').code, 'STORE_NOT_READABLE');
  const later = await t.throwsAsync(
    during('writeTarget', async () => {
      await Promise.resolve();
      throw systemError('ENOSPC');
    }),
  );
  t.true(isDiskFull(later));
  t.is(asTardisError(later).code, 'TARGET_FULL');
  t.is(
    during('readSource', () => 7),
    7,
  );
  t.is(await during('readSource', () => Promise.resolve(8)), 8);
});

test('other errors than those of the system keep their meaning in every operation', (t) => {
  const ours = new TardisError('CLIENT_BUSY', 'busy');
  t.is(asTardisError(meant('writeTarget', ours)), ours);
  t.is(failedTo('write it', ours, 'writeKeyFile'), ours);
  const bug = new TypeError('x is not a function');
  t.is(failedTo('write it', bug, 'writeKeyFile'), bug);
  t.is(asTardisError(meant('writeStore', bug)).code, 'INTERNAL');
  t.is(meant('writeStore', 'a string'), 'a string');
});

test('a failed operation reads as such, with the code of the system', (t) => {
  const original = systemError('EACCES');
  const error = failedTo('read the key file /k', original, 'readKeyFile');
  t.true(error instanceof TardisError);
  const { code, message, context, cause } = error as TardisError;
  t.deepEqual(
    { code, message, context, cause },
    {
      code: 'ACCESS_REFUSED',
      message: 'cannot read the key file /k: permission denied (EACCES)',
      context: { cause: 'EACCES' },
      cause: original,
    },
  );
});
