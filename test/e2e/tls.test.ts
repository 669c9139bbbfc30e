// Pace: slow
/** TLS between the commands: addresses to listen on, accepted certificates, and relays between client and server. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { srpGroup, srpPower, srpSecret } from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  type Certificate,
  encodeMessage,
  MESSAGES,
  PROTOCOL_VERSION,
} from '../../src/transport/index.js';
import { codeIn, exited } from '../helpers/codes.js';
import { certificateIn } from '../helpers/certificates.js';
import {
  run,
  Running,
  Server,
  succeed,
  backupsRunHere,
  poolsStayAway,
} from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';

interface TlsLab extends Lab {
  readonly server: Server;
  readonly certFile: string;
  readonly keyFile: string;
  readonly certificate: Certificate;
  /** Returns the arguments of a client that connects to a port of this machine. */
  to(port: number, ...more: string[]): string[];
}

/** Starts a server with TLS. The client `me` has a password, the client `open` has none. */
async function tlsLab(t: ExecutionContext, args: readonly string[] = []): Promise<TlsLab> {
  const made = lab(t);
  const certificate = await certificateIn(made.home);
  const { certFile, keyFile } = certificate;
  await succeed('sonic', ['create', ...made.place, `--password=${SECRET}`]);
  await succeed('sonic', ['create', '-D', made.store, '-C', 'open']);
  const pair = ['--ssl', '--certfile', certFile, '--keyfile', keyFile];
  const server = await Server.during(t, made.store, [...pair, '--address', '127.0.0.1', ...args]);
  const to = (port: number, ...more: string[]): string[] => [
    '-C',
    'me',
    '--server',
    '127.0.0.1',
    '--port',
    String(port),
    '--timeout',
    '60',
    ...more,
  ];
  return { ...made, server, certFile, keyFile, certificate, to };
}

test('a server with SSL accepts TLS only', async (t) => {
  const { server, source, to, store, certFile, keyFile, written } = await tlsLab(t);
  const { port } = server;
  await succeed('tardis', to(port, `--password=${SECRET}`, source));
  const plain = await run(
    'tardis',
    to(port, '--insecure-tcp', '--reconnect', '0', `--password=${SECRET}`, source),
  );
  t.is(codeIn(plain), 'SERVER_UNREACHABLE');
  t.regex(plain.stderr, /if it has a certificate, leave out --insecure-tcp/);
  await succeed('tardis', to(port, '--insecure-tcp', '--ssl', `--password=${SECRET}`, source));
  // The same settings as keys. Then a client with TLS connects to a server without it.
  const text = `[Tardis]\nSSL = yes\nCertFile = ${certFile}\nKeyFile = ${keyFile}\nAddress = 127.0.0.1\n`;
  const keyed = await Server.during(t, store, ['--config', written('config', text)]);
  await succeed('tardis', to(keyed.port, `--password=${SECRET}`, source));
  const other = await Server.during(t, store);
  const wrong = await run('tardis', to(other.port, `--password=${SECRET}`, source));
  t.is(codeIn(wrong), 'SERVER_UNREACHABLE');
  const remedy = /it speaks no TLS: .*\(--ssl\).*\(--insecure-tcp\) \(wrong version number\) \[/;
  t.regex(wrong.stderr, remedy);
  const web = ['-C', 'me', `--password=${SECRET}`, '--server'];
  const noTls = await run('lstardis', [...web, `https://127.0.0.1:${other.port}`]);
  t.regex(noTls.stderr, remedy);
  const noWeb = await run('lstardis', [...web, `https://127.0.0.1:${keyed.port}`]);
  t.regex(
    noWeb.stderr,
    /it serves no HTTP interface: .* without https:\/\/ .*\[SERVER_UNREACHABLE\]/,
  );
  for (const { stderr } of [wrong, noTls, noWeb]) t.notRegex(stderr, /SSL routines|openssl/);
});

test('a pair that cannot be used is reported', async (t) => {
  const { store, certFile, keyFile, at, home, written } = await tlsLab(t);
  const { keyFile: otherKey } = await certificateIn(home, 'other');
  const der = written('der', new X509Certificate(fs.readFileSync(certFile)).raw);
  const [weak, weakKey] = [at('weak.pem'), at('weak.key')];
  const words = 'req -x509 -newkey rsa:1024 -nodes -subj /CN=x -keyout';
  execFileSync('openssl', [...words.split(' '), weakKey, '-out', weak], { stdio: 'ignore' });
  for (const [args, code] of [
    [['--ssl', '--certfile', certFile], 'CONFIG_INVALID'],
    [['--ssl', '--certfile', certFile, '--keyfile', at('nothing')], 'CERTIFICATE_UNUSABLE'],
    [['--ssl', '--certfile', certFile, '--keyfile', otherKey], 'CERTIFICATE_UNUSABLE'],
    [['--ssl', '--certfile', written('x', 'x'), '--keyfile', keyFile], 'CERTIFICATE_UNUSABLE'],
    [['--ssl', '--certfile', der, '--keyfile', keyFile], 'CERTIFICATE_UNUSABLE'],
    [['--ssl', '--certfile', weak, '--keyfile', weakKey], 'CERTIFICATE_UNUSABLE'],
    [['--ssl', '--address', 'nonsense'], 'CONFIG_INVALID'],
  ] as const) {
    const outcome = await run('tardisd', ['-D', store, '--port', '0', ...args]);
    t.is(codeIn(outcome), code, args.join(' '));
  }
  const bucket = ['-D', 's3://bucket/x', '--endpoint', 'https://127.0.0.1:1', '--bucket-ca', der];
  t.regex((await run('lstardis', bucket)).stderr, /der \(--bucket-ca\) has no certificate as text/);
});

test('a certificate is checked unless a password proves the server', async (t) => {
  const { server, source, to, certFile } = await tlsLab(t);
  const trusting = { env: { NODE_EXTRA_CA_CERTS: certFile } };
  const call = async (args: readonly string[], options = {}): Promise<string | undefined> => {
    const outcome = await run('tardis', to(server.port, ...args, source), options);
    return outcome.status === 0 ? 'fine' : codeIn(outcome);
  };
  t.is(await call([`--password=${SECRET}`]), 'fine');
  t.is(await call([`--password=${SECRET}`, '--validate-certs']), 'CERTIFICATE_REFUSED');
  t.is(await call([`--password=${SECRET}`, '--validate-certs'], trusting), 'fine');
  t.is(await call(['-C', 'open']), 'CERTIFICATE_REFUSED');
  t.is(await call(['-C', 'open', '--no-validate-certs']), 'fine');
  t.is(await call(['-C', 'open', '--novalidate-certs']), 'fine');
  t.is(await call(['-C', 'open'], trusting), 'fine');
  // A new password is not sent to a server whose identity nothing proves.
  t.is(await call(['-C', 'new', '--create', `--password=${SECRET}`]), 'CERTIFICATE_REFUSED');
  t.is(await call(['-C', 'new', '--create', `--password=${SECRET}`], trusting), 'fine');
});

test('a client is created by a copy at a server only if its certificate is valid', async (t) => {
  const { server, store, certFile } = await tlsLab(t, ['--accept-copies', '--allow-new-hosts']);
  const target = ['--to-server', `127.0.0.1:${server.port}`, '--as', 'copied'];
  const copy = (...words: string[]): readonly string[] => {
    const secret = `--password=${SECRET}`;
    return ['copy', '-D', store, '-C', 'me', ...target, secret, '--reconnect', '0', ...words];
  };
  t.is(codeIn(await run('sonic', copy('--create'))), 'CERTIFICATE_REFUSED');
  t.false(fs.existsSync(path.join(store, 'copied')));
  const env = { NODE_EXTRA_CA_CERTS: certFile };
  exited(t, 0, await run('sonic', copy('--create'), { env }));
  await succeed('sonic', copy());
});

test('a self-signed certificate is created once, if an option requests it', async (t) => {
  const { store, at, home } = lab(t);
  const [cert, key] = [at('made.pem'), at('made.key')];
  const args = ['--ssl', '--certfile', cert, '--keyfile', key, '--address', '127.0.0.1'];
  const refused = await run('tardisd', ['-D', store, '--allow-new-hosts', '--port', '0', ...args]);
  t.is(codeIn(refused), 'CERTIFICATE_UNUSABLE');
  const first = await Server.start(store, [...args, '--make-certificate']);
  await first.stop();
  t.is(fs.statSync(key).mode & 0o777, 0o600);
  const made = [cert, key].map((file) => fs.readFileSync(file, 'utf8'));
  const second = await Server.start(store, [...args, '--make-certificate']);
  await second.stop();
  t.deepEqual(
    [cert, key].map((file) => fs.readFileSync(file, 'utf8')),
    made,
  );
  t.deepEqual(
    fs.readdirSync(home).filter((name) => name.endsWith('.new')),
    [],
  );
  // Never overwrites one half of a pair, which the user may have put there.
  fs.rmSync(key);
  const half = ['-D', store, '--allow-new-hosts', '--port', '0', ...args, '--make-certificate'];
  t.is(codeIn(await run('tardisd', half)), 'CERTIFICATE_UNUSABLE');
  // Nor a pair that is on a disk which is away, or that cannot be looked at.
  fs.rmSync(cert);
  for (const target of [at('away/made.pem'), cert]) {
    fs.symlinkSync(target, cert);
    t.is(codeIn(await run('tardisd', half)), 'CERTIFICATE_UNUSABLE');
    t.is(fs.readlinkSync(cert), target);
    fs.rmSync(cert);
  }
  const missing = { env: { PATH: path.dirname(process.execPath) } };
  const without = at('no openssl');
  fs.mkdirSync(without);
  for (const tool of ['node', 'sh', 'readlink', 'env']) {
    const found = ['/usr/bin', '/bin', missing.env.PATH].find((folder) =>
      fs.existsSync(path.join(folder, tool)),
    );
    fs.symlinkSync(path.join(found!, tool), path.join(without, tool));
  }
  const reported = await run('tardisd', half, { env: { PATH: without } });
  t.regex(reported.stderr, /the command openssl is missing \[CERTIFICATE_UNUSABLE\]/);
});

test('a server listens on other addresses than loopback with TLS only', async (t) => {
  const { store, certFile, keyFile, to, source } = await tlsLab(t);
  const addressOf = async (args: readonly string[]): Promise<Running> => {
    const running = new Running('tardisd', ['-D', store, '--port', '0', '-v', ...args]);
    t.teardown(() => running.signalGroup('SIGKILL'));
    await running.until('listening server', () => running.stderr.includes('"listening"'));
    return running;
  };
  const pair = ['--ssl', '--certfile', certFile, '--keyfile', keyFile];
  const open = await addressOf(pair);
  t.regex(open.stderr, /"address":"(\[::\]|0\.0\.0\.0):\d+"/);
  t.regex(open.stderr, /can use clients without a password/);
  const port = Number(/:(\d+)","msg":"listening"/.exec(open.stderr)?.[1]);
  const own = Object.values(os.networkInterfaces()).flat();
  const outer = own.find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
  await succeed('tardis', [...to(port, `--password=${SECRET}`, source), '--server', outer]);
  const named = await addressOf([...pair, '--address', '127.0.0.2', '--require-password']);
  t.regex(named.stderr, /"address":"127\.0\.0\.2:\d+"/);
  t.notRegex(named.stderr, /are open/);
  t.regex((await addressOf(['--insecure-tcp'])).stderr, /"address":"127\.0\.0\.1:\d+"/);
  const loud = await addressOf(['--insecure-network', '--address', '0.0.0.0']);
  t.regex(loud.stderr, /plain TCP beyond loopback: everything sent can be read/);
});

/** Starts a relay that forwards bytes; with a certificate it terminates TLS at both sides. Returns its port. */
async function relay(t: ExecutionContext, to: number, certificate?: Certificate): Promise<number> {
  const pass = (socket: net.Socket): void => {
    const onward =
      certificate === undefined
        ? net.connect(to, '127.0.0.1')
        : tls.connect({ port: to, host: '127.0.0.1', rejectUnauthorized: false });
    for (const one of [socket, onward]) one.on('error', () => undefined);
    socket.pipe(onward).pipe(socket);
  };
  const server =
    certificate === undefined
      ? net.createServer(pass)
      : tls.createServer({ ...certificate, minVersion: 'TLSv1.3' }, pass);
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

test('a relay with its own certificate fails the login, with the right password too', async (t) => {
  const { server, source, home, to, certificate } = await tlsLab(t);
  const honest = await relay(t, server.port);
  await succeed('tardis', to(honest, `--password=${SECRET}`, source));
  // Even with the server's own certificate and key, the relay has two separate TLS connections.
  for (const own of [await certificateIn(home, 'relay'), certificate]) {
    const between = await relay(t, server.port, own);
    const outcome = exited(t, 12, await run('tardis', to(between, `--password=${SECRET}`, source)));
    t.is(codeIn(outcome), 'LOGIN_FAILED');
  }
  // Without login and without validation, the client cannot notice the relay.
  const blind = await relay(t, server.port, certificate);
  await succeed('tardis', to(blind, '-C', 'open', '--no-validate-certs', source));
});

/** Plays a server over TLS; returns its port, and the numbers of the messages that it received. */
async function impostor(
  t: ExecutionContext,
  certificate: Certificate,
  answer: (socket: WebSocket, number: number) => void,
): Promise<{ readonly port: number; readonly heard: number[] }> {
  const heard: number[] = [];
  const server = https.createServer({ cert: certificate.cert, key: certificate.key });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data: RawData) => {
      const number = (data as Buffer)[0]!;
      heard.push(number);
      answer(socket, number);
    });
  });
  t.teardown(() => {
    sockets.close();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, heard };
}

test('a server that does not know the password gets nothing', async (t) => {
  const { source, certificate, to } = await tlsLab(t);
  const { hello, loginProof } = MESSAGES;
  const shown = await srpPower(nodeSystem().native.modPow, srpGroup(), srpSecret());
  const welcome = encodeMessage('welcome', {
    protocol: PROTOCOL_VERSION,
    software: 'x',
    incarnation: Buffer.alloc(16),
    creditBytes: 1 << 24,
    proof: Buffer.alloc(32),
    keys: Buffer.alloc(0),
    quotaBytes: 0,
    usedBytes: 0,
    ticket: Buffer.alloc(16),
    upTo: 0,
  }).head;
  const challenge = (changes: Record<string, number | Buffer>): Buffer => {
    const honest = { group: 1, salt: Buffer.alloc(16), logN: 14, r: 8, p: 1, serverPublic: shown };
    return encodeMessage('loginChallenge', { ...honest, ...changes }).head;
  };
  const first = (message: Buffer) => (socket: WebSocket, number: number) => {
    if (number === hello.number) socket.send(message);
    if (number === loginProof.number) socket.send(welcome);
  };
  for (const [what, answer, code, reported] of [
    ['lets in without asking', first(welcome), 'PASSWORD_NOT_SET', [1]],
    ['asks, and proves nothing', first(challenge({})), 'SERVER_NOT_PROVEN', [1, 97]],
    ['asks for a cheap proof', first(challenge({ logN: 1 })), 'LOGIN_FAILED', [1]],
    ['asks for more memory', first(challenge({ logN: 19 })), 'LOGIN_FAILED', [1]],
    ['asks for more time', first(challenge({ logN: 18, p: 3 })), 'LOGIN_FAILED', [1]],
    ['asks for a dear proof', first(challenge({ logN: 30 })), 'LOGIN_FAILED', [1]],
    ['sends 0', first(challenge({ serverPublic: Buffer.alloc(384) })), 'LOGIN_FAILED', [1]],
    ['wants another group', first(challenge({ group: 2 })), 'LOGIN_FAILED', [1]],
  ] as const) {
    const { port, heard } = await impostor(t, certificate, answer);
    const outcome = await run('tardis', to(port, `--password=${SECRET}`, source));
    t.is(codeIn(outcome), code, `${what}: ${outcome.stderr}`);
    t.deepEqual(heard, [...reported], what);
  }
});

test('a peer that does not log in in time is disconnected, even if it keeps sending', async (t) => {
  const config = lab(t).written('config', '[Tardis]\nLoginTimeout = 2\n');
  const { server, to, source } = await tlsLab(t, ['--config', config]);
  const { port } = server;
  const silent = net.connect(port, '127.0.0.1');
  const half = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  const drip = setInterval(() => half.write('G'), 100);
  t.teardown(() => clearInterval(drip));
  await Promise.all(
    [silent, half].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.on('error', () => undefined);
          socket.once('close', () => resolve());
          socket.resume();
        }),
    ),
  );
  // A password program may take longer than LoginTimeout, because it runs before the connection is made.
  const program = `sh -c "sleep 3; echo ${SECRET}"`;
  await succeed('tardis', to(port, '--password-prog', program, source));
  // The user is prompted while the server waits. After the timeout the command fails, or prompts again if it may
  // reconnect.
  const args = to(port, '--no-validate-certs', '--reconnect', '0', source);
  const thinking = await runOnTerminal('tardis', args, []);
  t.is(thinking.status, 1);
  t.regex(thinking.shown, /TIMED_OUT/);
});
