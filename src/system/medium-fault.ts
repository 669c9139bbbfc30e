/**
 * Errors of a disk that SQLite reports as something else. SQLite reports a malformed database if a read fails with EIO,
 * and no reason if a file cannot be opened or read.
 */
import { ifPossible, systemCode } from '../errors/index.js';
import type { SqlDatabase } from './database.js';
import { filesWith, OpenFd, STORE_UMASK } from './files.js';

/** SQLite's codes behind which an error of the disk may be. */
const VAGUE = /^SQLITE_(CORRUPT|NOTADB|CANTOPEN|IOERR_(READ|SHORT_READ|CORRUPTFS|FSTAT))/;
const SUFFIXES = ['', '-wal', '-journal'] as const;
const READ_BYTES = 1 << 20;

/** Explains the errors of one database. */
export class MediumFault {
  private hasLooked = false;

  /** `openAgain` opens the database once more, read-only. */
  constructor(
    private readonly path: string,
    private readonly openAgain: () => SqlDatabase,
  ) {}

  /**
   * Returns the disk's own error if a vague error of SQLite is due to it; otherwise the error itself. Reads the whole
   * database, but only once.
   */
  explain(error: unknown): unknown {
    const code = systemCode(error) ?? '';
    if (this.hasLooked || !VAGUE.test(code)) return error;
    this.hasLooked = true;
    try {
      for (const suffix of SUFFIXES) readThrough(this.path + suffix);
      if (code !== 'SQLITE_CORRUPT' || !this.isWhole()) return error;
    } catch (fault) {
      return fault;
    }
    const what = `EIO: a read failed that succeeds now, read '${this.path}'`;
    return Object.assign(new Error(what, { cause: error }), { code: 'EIO' });
  }

  /** Runs `work`, and explains an error that it throws. */
  explaining<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** True if SQLite finds no damage in the file when it reads it again. */
  private isWhole(): boolean {
    const found = ifPossible(() => {
      using again = this.openAgain();
      return again.pragma('integrity_check(1)', { simple: true });
    });
    return found === 'ok'; // else it is damaged, or in use
  }
}

/** Reads a file to its end. Throws the error of the disk. */
function readThrough(path: string): void {
  const files = filesWith(STORE_UMASK);
  if (files.status(path) === undefined) return;
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  using opened = new OpenFd(files, files.open(path, 'read'));
  for (let at = 0, got = READ_BYTES; got === READ_BYTES; at += got) {
    got = files.read(opened.fd, buffer, 0, READ_BYTES, at);
  }
}
