// Pace: long
/** The recipes of docs/using/dumps.md, with the databases that this machine has. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseIni, sourceCommand } from '../../src/config/index.js';
import { backup, BIN, poolsStayAway } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';

poolsStayAway();

const PAGE = fs.readFileSync(new URL('../../../docs/using/dumps.md', import.meta.url), 'utf8');
/** Places of programs of servers; not every user has them in the own path. */
const SERVERS = '/usr/sbin:$(echo /usr/lib/postgresql/*/bin)';

/** A database. Its commands are for a shell of its user; PLACE in them stands for a directory of that user. */
interface Database {
  /** Heading of its recipe. */
  readonly heading: string;
  /** Program without which it is not tested. */
  readonly needs: string;
  /** The user that it runs as; undefined for the user of the test. */
  readonly user?: string;
  /** Part of the commands of the page, which are for a server at its usual place; `here` replaces it. */
  readonly usual: RegExp;
  readonly here: string;
  readonly fill: string;
  /** Loses what was saved, up to what a restore needs. */
  readonly lose: string;
  /** Prints what a restore brings back. */
  readonly show: string;
  readonly server?: Server;
}

interface Server {
  readonly start: string;
  /** Starts it again, if a restore needs a server that is stopped. */
  readonly again?: string;
  readonly stop: string;
}

const PSQL = 'psql -q -h PLACE shop';
const MARIADB = '--no-defaults --socket=PLACE/socket';
const LDAP = 'ldapi://$(echo PLACE/socket | sed s,/,%2f,g)';
/** It keeps the lock, which it inherits, until it has ended. */
const SLAPD = `flock PLACE/lock slapd -F PLACE/slapd.d -h "${LDAP}"`;
const SLAPD_STOP = 'kill $(cat PLACE/pid) && flock PLACE/lock true';

const DATABASES: readonly Database[] = [
  {
    heading: 'SQLite',
    needs: 'sqlite3',
    usual: /\/var\/lib\/app\/app.db|restored.db/,
    here: 'PLACE/app.db',
    fill: `sqlite3 PLACE/app.db "CREATE TABLE t (i INTEGER PRIMARY KEY, text);
      INSERT INTO t SELECT value, 'row ' || value FROM generate_series(1, 5000)"`,
    lose: 'rm PLACE/app.db',
    show: "sqlite3 PLACE/app.db 'SELECT count(*), sum(i), max(text) FROM t'",
  },
  {
    heading: 'PostgreSQL',
    needs: 'initdb',
    user: 'postgres',
    usual: /pg_dumpall|pg_dump|psql/,
    here: 'PROGRAMS/$& -h PLACE',
    fill: `createdb -h PLACE shop && ${PSQL} -c "CREATE ROLE seller; CREATE TABLE t AS
      SELECT i, 'row ' || i AS text FROM generate_series(1, 5000) i; ALTER TABLE t OWNER TO seller"`,
    lose: 'dropdb -h PLACE shop && dropuser -h PLACE seller && createdb -h PLACE shop',
    show: `${PSQL} -At -c '\\dt' -c 'SELECT count(*), sum(i), max(text) FROM t'`,
    server: {
      start: `initdb -D PLACE/data -A trust && pg_ctl -D PLACE/data -l PLACE/log -w start \
        -o '-c listen_addresses= -c unix_socket_directories=PLACE -c fsync=off'`,
      stop: 'pg_ctl -D PLACE/data -m immediate stop',
    },
  },
  {
    heading: 'MariaDB and MySQL',
    needs: 'mariadbd',
    user: 'mysql',
    usual: /mariadb-dump|mariadb/,
    here: `$& ${MARIADB} --user=root`,
    fill: `mariadb ${MARIADB} --user=root -e "CREATE DATABASE shop; USE shop;
      CREATE TABLE t (i INT, text TEXT); INSERT INTO t SELECT seq, CONCAT('row ', seq) FROM seq_1_to_5000;
      CREATE USER seller IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO seller"`,
    lose: `mariadb ${MARIADB} --user=root -e 'DROP DATABASE shop; DROP USER seller'`,
    show: `mariadb ${MARIADB} --user=seller -psecret shop -e 'SELECT count(*), sum(i), max(text) FROM t'`,
    server: {
      start: `mkfifo PLACE/log && mariadb-install-db --no-defaults --datadir=PLACE/data --skip-test-db \
          --auth-root-authentication-method=normal --innodb-log-file-size=4M && {
        mariadbd ${MARIADB} --datadir=PLACE/data --skip-networking --innodb-log-file-size=4M \
          --innodb-buffer-pool-size=8M >PLACE/log 2>&1 & } && grep -q 'ready for connections' PLACE/log`,
      stop: `mariadb-admin ${MARIADB} --user=root shutdown`,
    },
  },
  {
    heading: 'LDAP',
    needs: 'slapd',
    user: 'openldap',
    usual: /-n (.)( -F .*)?/,
    here: '-n $1 -F PLACE/slapd.d',
    fill: `printf 'dn: dc=org\nobjectClass: domain\n\ndn: cn=p,dc=org\nobjectClass: person\nsn: P\n' |
      ldapadd -x -H ${LDAP} -D cn=admin,dc=org -w secret`,
    lose: `${SLAPD_STOP} && rm -r PLACE/slapd.d PLACE/data && mkdir PLACE/slapd.d PLACE/data`,
    show: `ldapsearch -x -H ${LDAP} -LLL -b dc=org '*' +`,
    server: {
      start: `mkdir PLACE/slapd.d PLACE/data && printf '%s\n' 'include /etc/ldap/schema/core.schema' \
          'include /etc/ldap/schema/cosine.schema' 'modulepath /usr/lib/ldap' 'moduleload back_mdb' \
          'pidfile PLACE/pid' 'database mdb' 'suffix dc=org' 'rootdn cn=admin,dc=org' 'rootpw secret' \
          'directory PLACE/data' >PLACE/slapd.conf && slaptest -f PLACE/slapd.conf -F PLACE/slapd.d -n 0 &&
        ${SLAPD}`,
      again: SLAPD,
      stop: SLAPD_STOP,
    },
  },
];

/** Returns the recipes in a text by their names. */
function recipesIn(text: string): Map<string, string> {
  const commands = new Map<string, string>();
  for (const [, block = ''] of text.matchAll(/```\n(\[Sources\]\n[^`]*)```/g)) {
    for (const { key, text: command } of parseIni(block, 'docs/using/dumps.md')[0]!.entries) {
      if (!commands.has(key)) commands.set(key, command);
    }
  }
  return commands;
}

/** Returns the section of a database: its recipes, and the commands that take the restored files, in their order. */
function sectionOf(heading: string): { recipes: Map<string, string>; takers: [string, string][] } {
  const text = PAGE.split('\n### ').find((section) => section.startsWith(`${heading}\n`))!;
  const lines = text.matchAll(/^regenerate .* --stdout \/(\S+) \| (?:sudo -u \S+ )?(.*)$/gm);
  return {
    recipes: recipesIn(text),
    takers: [...lines].map(([, name, command]) => [name!, command!]),
  };
}

/** Returns the path of a program, or undefined after a note that it is not installed. */
function installed(t: ExecutionContext, program: string): string | undefined {
  try {
    const script = `PATH=$PATH:${SERVERS}; place=$(command -v ${program}) && realpath "$place"`;
    return execFileSync('sh', ['-c', script]).toString().trim();
  } catch {
    t.log(`${program} is not installed on this machine`);
    t.pass();
    return undefined;
  }
}

test('every recipe of the page is a command in the form of [Sources]', (t) => {
  const all = recipesIn(PAGE);
  t.deepEqual(
    [...all.keys()],
    ['shop.sql', 'ldap.ldif', 'roles.sql', 'all.sql', 'app.sql', 'config.ldif'],
  );
  for (const [name, command] of all) {
    t.true(sourceCommand(`${name} = ${command}`, 'docs/using/dumps.md').command.length > 0);
  }
});

for (const { heading, needs, user, usual, here, fill, lose, show, server } of DATABASES) {
  test(`the recipe for ${heading} saves a database and restores it`, async (t) => {
    const program = installed(t, needs);
    if (program === undefined) return;
    if (user !== undefined && process.geteuid?.() !== 0) {
      return leaveOut(t, 'needs root, to run the server as its user');
    }
    const { at, place, home: top } = lab(t);
    const [home, programs] = [at('home'), path.dirname(program)];
    fs.mkdirSync(home);
    if (user !== undefined) {
      execFileSync('chown', [user, home]);
      for (let above = top; above.length > 1; above = path.dirname(above)) {
        if ((fs.statSync(above).mode & 0o001) === 0) fs.chmodSync(above, 0o711);
      }
    }
    const become = user === undefined ? [] : ['runuser', '-u', user, '--'];
    const placed = (text: string): string =>
      text.replaceAll('PLACE', home).replaceAll('PROGRAMS', programs);
    const run = (shell: string): string => {
      const script = `set -o pipefail; PATH=$PATH:${SERVERS}; exec 2>&1; ${placed(shell)}`;
      return execFileSync('env', [...become, 'bash', '-c', script]).toString();
    };
    if (server !== undefined) {
      run(server.start);
      t.teardown(() => run(server.stop));
    }
    run(fill);
    const shown = run(show);
    const { recipes, takers } = sectionOf(heading);
    const sources = [...recipes].flatMap(([name, command]) => [
      '--source',
      placed(`${name}=${command.replace(usual, here)}`),
    ]);
    const { progress } = await backup(['--create', ...place, '--local', ...sources]);
    t.is(progress.filesRead, recipes.size);
    run(lose);
    for (const [name, command] of takers) {
      const taker = [...become, placed(command.replace(usual, here))].join(' ');
      const regenerate = [path.join(BIN, 'regenerate'), ...place, '--stdout', `/${name}`].join(' ');
      execFileSync('bash', ['-c', `set -o pipefail; ${regenerate} | ${taker} 2>&1`]);
    }
    if (server?.again !== undefined) run(server.again);
    t.is(run(show), shown);
  });
}
