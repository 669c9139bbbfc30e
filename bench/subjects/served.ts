import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from '../bench.js';
import type { Command } from '../measure.js';
import { RunningServer } from '../running-server.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';
import { LOGIN } from './tardis.js';

/** Returns the numbers of some clients, from 1. */
const numbers = (clients: number): number[] => Array.from({ length: clients }, (_, i) => i + 1);

/** Returns a command that runs others at the same time, and fails if one of them does. */
function atOnce(commands: readonly Command[]): Command {
  const quoted = commands.map(({ argv }) => argv.map((word) => `'${word}'`).join(' '));
  const waits = 'for pid in $pids; do wait "$pid" || exit 1; done';
  const script = `${quoted.map((one) => `${one} & pids="$pids $!"`).join('\n')}\n${waits}`;
  return { argv: ['sh', '-c', script], env: commands[0]!.env ?? {} };
}

/** Encrypting clients of one `tardisd` over TLS, all at once. The processor time is that of the clients alone. */
export function servedTardis(
  place: Place,
  bench: Bench,
  { passwordFile, clients }: { readonly passwordFile: string; readonly clients: number },
): Subject {
  // A client that is created trusts the certificate that the server has made.
  const certificate = join(place.home, '.config/tardis/tardisd-cert.pem');
  const env = { ...confinedTo(place.home), NODE_EXTRA_CA_CERTS: certificate };
  let server: RunningServer | undefined;
  const all = (program: string, wordsOf: (client: number) => readonly string[]): Command =>
    atOnce(
      numbers(clients).map((client) => {
        const to = ['--server', 'localhost', '--port', String(server?.port)];
        const login = ['-C', `bench-${client}`, '-F', passwordFile];
        return { argv: [bench.program(program), ...to, ...login, ...wordsOf(client)], env };
      }),
    );
  return {
    name: 'tardis-encrypted',
    about: `${clients} clients of one tardisd at once, TLS, encrypted`,
    version: { argv: [bench.program('tardis'), '--version'], env },
    prepare: () => [],
    start: async () => {
      mkdirSync(place.store);
      writeFileSync(join(place.store, '.tardis-store'), ''); // a new store, without clients
      server = await RunningServer.tardisd(bench, { store: place.store, env, isTls: true });
    },
    stop: async () => server?.stop(),
    first: () => all('tardis', () => ['--create', ...LOGIN, place.tree]),
    again: () => all('tardis', () => [place.tree]),
    restore: () => all('regenerate', (i) => ['-o', join(place.out, String(i)), place.tree]),
    restoredTree: () => join(place.out, '1', 'tree'),
    storeBytes: () =>
      numbers(clients).reduce(
        (sum, i) => sum - bytesBelow(join(place.store, `bench-${i}`, 'reserve')),
        bytesBelow(place.store),
      ),
  };
}

/** As many repositories of restic at one `rclone serve restic` over TLS, all at once. */
export function servedRestic(place: Place, { clients }: { readonly clients: number }): Subject {
  const [key, certificate] = [join(place.home, 'key.pem'), join(place.home, 'cert.pem')];
  const env = { ...confinedTo(place.home), RESTIC_PASSWORD: 'benchmark' };
  let server: RunningServer | undefined;
  const all = (wordsOf: (client: number) => readonly string[]): Command =>
    atOnce(
      numbers(clients).map((client) => {
        const repository = `rest:https://localhost:${server?.port}/${client}/`;
        const to = ['--repo', repository, '--cacert', certificate];
        const cache = ['--cache-dir', join(place.home, 'cache')];
        return { argv: ['restic', ...to, ...cache, '--quiet', ...wordsOf(client)], env };
      }),
    );
  return {
    name: 'restic',
    about: `${clients} clients of one rclone serve restic at once, TLS`,
    version: { argv: ['sh', '-c', 'restic version && rclone version'], env },
    prepare: () => [
      {
        argv: [
          'sh',
          '-c',
          `openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \\
-keyout "$1" -out "$2"`,
          'sh',
          key,
          certificate,
        ],
      },
    ],
    start: async () => {
      const tls = ['--cert', certificate, '--key', key];
      const serve = ['rclone', 'serve', 'restic', '--addr', 'localhost:0', ...tls] as const;
      const argv = [...serve, '-v', place.store] as const;
      server = await RunningServer.start({ argv, env }, /https:\/\/[^/]*:(\d+)\//);
      const { argv: created } = all(() => ['init']);
      const { status, stderr } = spawnSync(created[0], created.slice(1), {
        env: { ...process.env, ...env },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`restic init failed: ${stderr}`);
    },
    stop: async () => server?.stop(),
    first: () => all(() => ['backup', place.tree]),
    again: () => all(() => ['backup', place.tree]),
    restore: () => all((i) => ['restore', 'latest', '--target', join(place.out, String(i))]),
    restoredTree: () => join(place.out, '1', place.tree),
    storeBytes: () => bytesBelow(place.store),
  };
}
