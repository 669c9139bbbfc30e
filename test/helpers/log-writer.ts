/**
 * Commits rows until a disk is full, beside a process that has the same database open. It is a separate program, since a
 * signal may end it. Arguments: the mounted disk, and the KiB that stay free when it begins. Exits with 1 unless the
 * disk was full in the sense of SQLite, and all commits are there in the end.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeSystem, type SqlDatabase } from '../../src/system/index.js';
import { fillUp } from './fill-disk.js';

const MOST_COMMITS = 5000;
const [disk = '', freeText = '0'] = process.argv.slice(2);
const filler = path.join(disk, 'filler');

function opened(): SqlDatabase {
  const database = nodeSystem().openDatabase(path.join(disk, 'rows.db'), { readonly: false });
  database.extend();
  for (const text of ['journal_mode = WAL', 'synchronous = FULL', 'wal_autocheckpoint = 0']) {
    database.pragma(text);
  }
  database.exec('CREATE TABLE IF NOT EXISTS rows (value)');
  return database;
}

function insert(database: SqlDatabase): void {
  database.prepare('INSERT INTO rows VALUES (?)').run(Buffer.alloc(1000, 1));
}

/** Returns the number of commits that succeeded before the disk was full. */
function commitUntilFull(): number {
  using database = opened();
  fillUp(filler);
  fs.truncateSync(filler, Math.max(0, fs.statSync(filler).size - Number(freeText) * 1024));
  execFileSync('sync', ['-f', disk]);
  for (let commits = 0; commits < MOST_COMMITS; commits += 1) {
    try {
      insert(database);
    } catch (error) {
      if ((error as { code?: string }).code === 'SQLITE_FULL') return commits;
      throw error;
    }
    if (commits % 3 === 0) execFileSync('sync', ['-f', disk]); // the pages of the index are clean again
  }
  throw new Error('the disk does not get full');
}

async function main(): Promise<void> {
  insert(opened());
  const args = [fileURLToPath(import.meta.url), disk, 'hold'];
  const holder = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  const commits = commitUntilFull();
  fs.rmSync(filler);
  using database = opened();
  insert(database);
  holder.stdin.end();
  const [status] = (await once(holder, 'exit')) as [number | null];
  const rows = database.prepare('SELECT count(*) FROM rows').pluck().get();
  const isWhole = database.pragma('integrity_check', { simple: true }) === 'ok';
  if (status !== 0 || !isWhole || typeof rows !== 'number' || rows < commits + 2) {
    throw new Error(
      `${commits} commits, ${String(rows)} rows, whole: ${isWhole}, other: ${status}`,
    );
  }
  process.stdout.write(`${commits} commits, ${rows} rows\n`);
}

/** Has the database open until the input ends, so that its index lives on, and then requires that it is whole. */
async function hold(): Promise<void> {
  using database = opened();
  const count = database.prepare('SELECT count(*) FROM rows');
  count.get();
  process.stdout.write('open\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  count.get();
  if (database.pragma('integrity_check', { simple: true }) !== 'ok') process.exitCode = 1;
}

await (freeText === 'hold' ? hold() : main());
