// Pace: slow
/** Certificates that are renewed while a server runs, and such as end soon. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { validityFault } from '../../src/server/index.js';
import { serverSource } from '../../src/tools/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { Running, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

const SECRET = 'gravel-Otter9-lamp';
const DAY_MS = 86_400_000;

/** Returns the fingerprint of the certificate that a port of this machine presents. */
function presented(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false } as const;
    const socket = tls.connect(options, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

interface Served {
  readonly running: Server['running'];
  readonly ports: readonly number[];
}

/** The files that servers use, and `take`, which replaces them by those of another certificate. */
async function certificates(t: ExecutionContext) {
  const made = lab(t);
  const used = await certificateIn(made.home);
  const take = (certFile: string, keyFile: string): void => {
    fs.copyFileSync(certFile, used.certFile);
    fs.copyFileSync(keyFile, used.keyFile);
  };
  const pair = ['--ssl', '--certfile', used.certFile, '--keyfile', used.keyFile];
  const fingerprint = (): string =>
    new X509Certificate(fs.readFileSync(used.certFile)).fingerprint256;
  await succeed('sonic', ['create', ...made.place, `--password=${SECRET}`]);
  return { ...made, used, take, pair, fingerprint };
}

type Certificates = Awaited<ReturnType<typeof certificates>>;

async function serveStore(
  t: ExecutionContext,
  { store, pair, written }: Certificates,
): Promise<Served> {
  const config = written('beside.cfg', '[Tardis]\nRemote = yes\nRemotePort = 0\n');
  const args = [...pair, '--address', '127.0.0.1', '--config', config];
  const server = await Server.during(t, store, args);
  const { running } = server;
  const beside = (): string | undefined => /"port":(\d+),"msg":"HTTP/.exec(running.stderr)?.[1];
  await running.until('its second port', () => beside() !== undefined);
  return { running, ports: [server.port, Number(beside())] };
}

async function serveRemote(t: ExecutionContext, { store, pair }: Certificates): Promise<Served> {
  const args = ['-D', store, ...pair, '--address', '127.0.0.1', '--port', '0', '--json', '-v'];
  const running = new Running('tardisremote', args);
  t.teardown(() => running.signalGroup('SIGKILL'));
  const port = (): string | undefined =>
    /"ready":"https:\/\/[^"]*:(\d+)\/"/.exec(running.stdout)?.[1];
  await running.until('its port', () => port() !== undefined);
  return { running, ports: [Number(port())] };
}

for (const [name, serve] of Object.entries({ tardisd: serveStore, tardisremote: serveRemote })) {
  test(`${name} takes a renewed certificate at a SIGHUP, which does not end it`, async (t) => {
    const all = await certificates(t);
    const { running, ports } = await serve(t, all);
    const before = all.fingerprint();
    for (const port of ports) t.is(await presented(port), before);
    const next = await certificateIn(all.home, 'next');
    all.take(next.certFile, next.keyFile);
    running.signal('SIGHUP');
    await running.until('renewal', () =>
      running.stderr.includes('a renewed certificate is in use'),
    );
    for (const port of ports) t.is(await presented(port), all.fingerprint());
    t.not(all.fingerprint(), before);
    if (name === 'tardisd') {
      const to = ['-C', 'me', '--server', '127.0.0.1', '--port', String(ports[0])];
      await succeed('tardis', [...to, `--password=${SECRET}`, all.source]);
    }

    // A pair that does not fit is named, and the certificate that worked stays in use.
    const other = await certificateIn(all.home, 'other');
    all.take(next.certFile, other.keyFile);
    running.signal('SIGHUP');
    await running.until('refusal', () =>
      /does not belong to.*the former one stays/.test(running.stderr),
    );
    for (const port of ports) t.is(await presented(port), all.fingerprint());
    t.is((await running.endedBy('SIGTERM')).status, 0);
  });
}

test('a certificate that expires soon is reported at the start', async (t) => {
  const all = await certificates(t);
  const soon = path.join(all.home, 'soon.pem');
  const words = ['req', '-x509', '-new', '-key', all.used.keyFile, '-out', soon, '-days', '3'];
  execFileSync('openssl', [...words, '-subj', '/CN=soon'], { stdio: 'ignore' });
  all.take(soon, all.used.keyFile);
  const { running } = await serveStore(t, all);
  t.regex(running.stderr, /"level":50.*"msg":"the certificate expires in [23] days"/);
});

test('a certificate that expires within 21 days is told in the log, by mail, and in the metrics', async (t) => {
  const all = await certificates(t);
  const soon = path.join(all.home, 'soon.pem');
  const words = ['req', '-x509', '-new', '-key', all.used.keyFile, '-out', soon, '-days', '18'];
  execFileSync('openssl', [...words, '-subj', '/CN=soon'], { stdio: 'ignore' });
  all.take(soon, all.used.keyFile);
  const [mail, metrics] = [all.at('mail'), all.at('server.prom')];
  const text = `[Tardis]\nMailTo = ops@example.org\nMailCommand = tee -a ${mail}\nMetricsFile = ${metrics}\nWatchInterval = 1\n`;
  const config = ['--config', all.written('cfg', text)];
  const server = await Server.during(t, all.store, [
    ...all.pair,
    '--address',
    '127.0.0.1',
    ...config,
  ]);
  const read = (file: string): string => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
  await server.running.until('mail', () => read(mail).includes('valid until'));
  const first = read(metrics);
  await server.running.until('a second look', () => read(metrics) !== first);
  t.is(read(mail).match(/^Subject: tardisd: the certificate expires in 1[78] days$/gm)?.length, 1);
  const endMs = Date.parse(new X509Certificate(fs.readFileSync(soon)).validTo);
  t.regex(
    read(metrics),
    new RegExp(`^tardis_certificate_expiry_timestamp_seconds ${endMs / 1000}$`, 'm'),
  );
  t.regex(server.running.stderr, /"msg":"the certificate expires in 1[78] days"/);
});

test('a certificate is reported before it is valid, before its end, and behind it', async (t) => {
  const { cert } = await certificateIn(lab(t).home);
  const { validFrom, validTo } = new X509Certificate(cert);
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  t.regex(validityFault(cert, fromMs - 1)!, /not valid yet/);
  t.is(validityFault(cert, fromMs), undefined);
  t.is(validityFault(cert, toMs - 21 * DAY_MS), undefined);
  t.is(validityFault(cert, toMs - 20.5 * DAY_MS), 'the certificate expires in 20 days');
  t.is(validityFault(cert, toMs - 5.5 * DAY_MS), 'the certificate expires in 5 days');
  t.regex(validityFault(cert, toMs)!, /has expired/);
});

test('tardisremote trusts the certificate that the file has at each connection', async (t) => {
  const { home } = lab(t);
  const [one, two] = [await certificateIn(home, 'one'), await certificateIn(home, 'two')];
  const source = serverSource('localhost:7420', Buffer.from(one.certFile));
  const trusted = (): string => source.tls!.trusted!.toString();
  t.is(trusted(), one.cert.toString());
  fs.copyFileSync(two.certFile, one.certFile);
  t.is(trusted(), two.cert.toString());
  fs.writeFileSync(one.certFile, 'half of a certif');
  t.is(trusted(), two.cert.toString(), 'while it is replaced');
});
