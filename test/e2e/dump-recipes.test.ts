// Pace: long
/** The recipes of docs/using/dumps.md, with the databases that this machine has. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseIni, sourceCommand } from '../../src/config/index.js';
import { backup, BIN, poolsStayAway } from '../helpers/commands.js';
import { lab, type Lab } from '../helpers/settings.js';

poolsStayAway();

const PAGE = new URL('../../../docs/using/dumps.md', import.meta.url);
const POSTGRES_USER = 'postgres';

/** Returns the commands of all recipes by their names; the recipe before the section `from` is left out. */
function recipes(from: string): Map<string, string> {
  const text = fs.readFileSync(PAGE, 'utf8');
  const after = text.slice(text.indexOf(from));
  const commands = new Map<string, string>();
  for (const [, block = ''] of after.matchAll(/```\n(\[Sources\]\n[^`]*)```/g)) {
    for (const { key, text: command } of parseIni(block, 'docs/using/dumps.md')[0]!.entries) {
      if (!commands.has(key)) commands.set(key, command);
    }
  }
  return commands;
}

/** Returns the path of a program, or undefined after a note that it is not installed. */
function installed(t: ExecutionContext, program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`])
      .toString()
      .trim();
  } catch {
    t.log(`${program} is not installed on this machine`);
    t.pass();
    return undefined;
  }
}

/** Restores a dump into a command, as the page shows. */
function pipeTo({ place }: Lab, name: string, shell: string): string {
  const regenerate = [path.join(BIN, 'regenerate'), ...place, '--stdout', `/${name}`].join(' ');
  return execFileSync('bash', ['-c', `set -o pipefail; ${regenerate} | ${shell}`]).toString();
}

test('every recipe of the page is a command in the form of [Sources]', (t) => {
  const all = recipes('# Databases');
  t.deepEqual(
    [...all.keys()],
    ['shop.sql', 'ldap.ldif', 'roles.sql', 'all.sql', 'app.sql', 'config.ldif'],
  );
  for (const [name, command] of all) {
    t.true(sourceCommand(`${name} = ${command}`, 'docs/using/dumps.md').command.length > 0);
  }
});

test('the recipe for SQLite saves a database and restores it', async (t) => {
  if (installed(t, 'sqlite3') === undefined) return;
  const made = lab(t);
  const database = made.at('app.db');
  const rows = "INSERT INTO t SELECT value, 'row ' || value FROM generate_series(1, 5000);";
  execFileSync('sqlite3', [database, `CREATE TABLE t (id INTEGER PRIMARY KEY, text); ${rows}`]);
  const command = recipes('### SQLite').get('app.sql')!.replace('/var/lib/app/app.db', database);
  await backup(['--create', ...made.place, '--local', '--source', `app.sql=${command}`]);
  pipeTo(made, 'app.sql', `sqlite3 ${made.at('restored.db')}`);
  const sum = ['SELECT count(*), sum(id), max(text) FROM t'];
  t.is(
    execFileSync('sqlite3', [made.at('restored.db'), ...sum]).toString(),
    execFileSync('sqlite3', [database, ...sum]).toString(),
  );
});

test('the recipe for PostgreSQL saves a running database and restores it', async (t) => {
  const initdb = installed(t, 'initdb');
  if (initdb === undefined) return;
  if (process.geteuid?.() !== 0) {
    t.log('needs root, to run the server as its user');
    t.pass();
    return;
  }
  const made = lab(t);
  const [data, socket] = [made.at('data'), made.at('socket')];
  for (let at = made.top; at.length > 1; at = path.dirname(at)) {
    if ((fs.statSync(at).mode & 0o001) === 0) fs.chmodSync(at, 0o711);
  }
  const programs = path.dirname(fs.realpathSync(initdb));
  const group = execFileSync('id', ['-g', POSTGRES_USER]).toString().trim();
  const become = ['setpriv', `--reuid=${POSTGRES_USER}`, `--regid=${group}`, '--init-groups'];
  const as = (shell: string): string => {
    const script = `export PATH=${programs}:$PATH PGHOST=${socket}; ${shell}`;
    return execFileSync('env', [...become, '--reset-env', 'sh', '-c', script]).toString();
  };
  for (const place of [data, socket]) {
    fs.mkdirSync(place);
    execFileSync('chown', [POSTGRES_USER, place]);
  }
  as(`initdb -D ${data} -A trust >/dev/null`);
  const options = `-c listen_addresses= -c unix_socket_directories=${socket} -c fsync=off`;
  as(`pg_ctl -D ${data} -w -o '${options}' -l ${data}/log start >/dev/null`);
  t.teardown(() => as(`pg_ctl -D ${data} -m immediate stop >/dev/null`));
  as('createdb shop && createdb restored');
  as(
    `psql -q shop -c "CREATE TABLE t AS SELECT i, 'row ' || i AS text FROM generate_series(1, 20000) i"`,
  );
  const [roles, shop] = ['roles.sql', 'shop.sql'].map((name) => {
    const command = recipes('### PostgreSQL').get(name)!;
    return `${name}=${command.replace(/pg_dump(all)?/, `${programs}/$& -h ${socket}`)}`;
  });
  const sources = ['--source', roles!, '--source', shop!];
  const first = await backup(['--create', ...made.place, '--local', ...sources]);
  t.is(first.progress.filesRead, 2);
  const into = `${become.join(' ')} ${programs}/psql -q -h ${socket}`;
  pipeTo(made, 'shop.sql', `${into} --set ON_ERROR_STOP=1 --single-transaction restored`);
  const sum = (name: string): string => as(`psql -At ${name} -c 'SELECT count(*), sum(i) FROM t'`);
  t.is(sum('restored'), sum('shop'));
  t.is(sum('restored'), '20000|200010000\n');
});
