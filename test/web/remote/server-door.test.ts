// Pace: slow
/** A program in front of a server: whose word counts, and what happens if the server lies, changes or goes away. */
import https from 'node:https';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import anyTest, { type TestFn } from 'ava';
import type { RightName } from '../../../src/model/index.js';
import { putAccount, removeAccount } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { MESSAGES } from '../../../src/transport/index.js';
import { certificateIn } from '../../helpers/certificates.js';
import { historyLabFor } from '../../helpers/history-lab.js';
import { tapped } from '../../helpers/inline.js';
import {
  type Gateway,
  type GatewayOptions,
  giveToken,
  openGateway,
  startOverTls,
  type TlsServer,
} from '../../helpers/web-gateway.js';
import { ManualClock } from '../../support/manual-clock.js';
import { until } from '../../helpers/until.js';
import { listening } from '../../helpers/listener.js';

const test = anyTest as TestFn<undefined>;
const system = nodeSystem();
/** Longer than a program in front of a server that is away goes without trying again. */
const AWAY_MS = 2100;
const FAILURES = 60;
const SETS = '/clients/me/sets';

let server: TlsServer;

const lab = historyLabFor(test, false, async ({ home, place }) => {
  server = await startOverTls(home, place.store);
  return () => server.stop();
});

async function inFront(
  t: ExecutionContext,
  behind: Pick<TlsServer, 'address' | 'tls'>,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const gateway = await openGateway(behind, options);
  t.teardown(() => gateway.close());
  return gateway;
}

async function get(
  { app }: Gateway,
  route: string,
  token: string,
  remoteAddress = '192.0.2.1',
): Promise<{ status: number; code: string | undefined; headers: object; text: string }> {
  const headers = { authorization: `Bearer ${token}` };
  const request = { method: 'GET', url: `/api/v1${route}`, headers, remoteAddress } as const;
  const { statusCode, headers: reported, body } = await app.inject(request);
  const isProblem = String(reported['content-type']).startsWith('application/problem+json');
  const code = isProblem ? (JSON.parse(body) as { code: string }).code : undefined;
  return { status: statusCode, code, headers: reported, text: body };
}

const directory = (): string => path.join(lab.place.store, 'me');
const contentOf = (name: string): string =>
  `${SETS}/1/content?path=${encodeURIComponent(path.join(lab.source, name))}`;

test('rights of an account hold for its own token, and end with it', async (t) => {
  const gateway = await inFront(t, server);
  const reader = await giveToken(lab.place, 'reader', ['list', 'read']);
  const lister = await giveToken(lab.place, 'lister', ['list']);
  t.is((await get(gateway, contentOf('empty'), reader)).status, 200);
  t.is((await get(gateway, contentOf('empty'), lister)).status, 403);
  t.is(gateway.door.openCount, 2); // no token uses the connection of another
  const change = (name: string, rights: readonly RightName[]): Promise<unknown> =>
    putAccount(system, directory(), { name, rights }, undefined);
  await change('reader', ['list']);
  await change('lister', ['list', 'read']);
  // A server goes for some time without looking at an account.
  const statusOf = async (route: string, token: string): Promise<number> =>
    (await get(gateway, route, token)).status;
  await until(async () => (await statusOf(contentOf('empty'), reader)) === 403);
  await until(async () => (await statusOf(contentOf('empty'), lister)) === 200);
  await removeAccount(system, directory(), 'reader');
  const again = await giveToken(lab.place, 'reader', ['list', 'read']);
  await until(async () => (await statusOf(SETS, reader)) === 401);
  t.is(await statusOf(SETS, again), 200);
});

test('a token without the right to list reads nothing, and a password is refused by its name', async (t) => {
  const gateway = await inFront(t, server);
  const token = await giveToken(lab.place, 'useless', ['read', 'admin']);
  t.is((await get(gateway, '/session', token)).status, 403);
  const body = { greeting: 'AAAA' };
  const url = '/api/v1/login/challenge';
  const login = await gateway.app.inject({ method: 'POST', url, body });
  t.is(login.statusCode, 403);
  t.regex(login.body, /tokens only/);
});

test('clients and figures are those that the server shows to the login', async (t) => {
  const gateway = await inFront(t, server);
  const lister = await giveToken(lab.place, 'own', ['list']);
  const admin = await giveToken(lab.place, 'admin', ['list', 'admin']);
  const [own, all] = [
    JSON.parse((await get(gateway, '/clients', lister)).text) as object[],
    JSON.parse((await get(gateway, '/clients', admin)).text) as object[],
  ].map((clients) =>
    // The reason has ages, and time passes between the two answers.
    clients.map((client) => ({ ...client, reason: undefined, cause: undefined })),
  ) as [object[], object[]];
  t.deepEqual(own, all);
  t.like(own[0], { name: 'me', completeSets: 5, lastSet: 6, encrypts: false });
  t.is((await get(gateway, '/metrics', lister)).status, 403);
  t.regex((await get(gateway, '/metrics', admin)).text, /client_complete_sets\{client="me"\} 5/);
});

test('a server that goes away gives 503 with Retry-After, and comes back by itself', async (t) => {
  const first = await startOverTls(lab.home, lab.place.store);
  const { address } = first;
  const clock = new ManualClock(Date.now());
  const gateway = await inFront(t, first, { clock });
  const token = await giveToken(lab.place, 'patient', ['list']);
  t.is((await get(gateway, SETS, token)).status, 200);
  await first.stop();
  for (let n = 0; n < 3; n += 1) {
    const gone = await get(gateway, SETS, token);
    t.is(gone.status, 503);
    t.is(gone.code, 'SERVER_UNREACHABLE');
    t.like(gone.headers, { 'retry-after': '5', 'cache-control': 'no-store' });
    t.notRegex(gone.text, /127\.0\.0\.1/);
  }
  t.is((await get(gateway, '/health', token)).status, 200);
  t.is(gateway.door.openCount, 0);
  const port = address.kind === 'tcp' ? address.port : 0;
  const second = await startOverTls(lab.home, lab.place.store, { port, like: first });
  t.teardown(() => second.stop());
  clock.advance(AWAY_MS);
  t.is((await get(gateway, SETS, token)).status, 200);
});

test('failed tokens of one address stop neither others nor a token that is in use', async (t) => {
  const clock = new ManualClock(Date.now());
  clock.advance(59_990); // a minute counts from the first failure, not from the start of the program
  const gateway = await inFront(t, server, { clock });
  const token = await giveToken(lab.place, 'steady', ['list']);
  const other = await giveToken(lab.place, 'later', ['list']);
  t.is((await get(gateway, SETS, token)).status, 200);
  const wrong = `me/steady/${'B'.repeat(43)}`;
  for (let n = 0; n < FAILURES; n += 1) {
    t.is((await get(gateway, SETS, n % 2 === 0 ? wrong : 'nonsense')).status, 401);
    clock.advance(1);
  }
  t.is((await get(gateway, SETS, wrong)).status, 429);
  t.is((await get(gateway, SETS, other)).status, 429);
  t.is((await get(gateway, SETS, token)).status, 200);
  t.is((await get(gateway, SETS, other, '192.0.2.2')).status, 200);
  clock.advance(60_001);
  t.is((await get(gateway, SETS, wrong)).status, 401);
});

test('many requests of one token wait for their turn', async (t) => {
  const gateway = await inFront(t, server);
  const token = await giveToken(lab.place, 'busy', ['list', 'read']);
  const all = await Promise.all(
    Array.from({ length: 150 }, (_, n) =>
      get(gateway, n % 2 === 0 ? contentOf('large') : SETS, token),
    ),
  );
  t.deepEqual(
    all.filter(({ status }) => status !== 200).map(({ text }) => text),
    [],
  );
  t.is(gateway.door.openCount, 1);
});

test('no token is sent over plain TCP, nor to a server with another certificate', async (t) => {
  const token = await giveToken(lab.place, 'careful', ['list']);
  const plain = await inFront(t, { address: lab.daemon.address, tls: undefined });
  t.is((await get(plain, SETS, token)).code, 'INSECURE_TCP_REFUSED');
  const { cert, key } = await certificateIn(lab.home, 'impostor');
  let requested = 0;
  const impostor = https.createServer({ cert, key }, () => (requested += 1));
  impostor.on('upgrade', () => (requested += 1));
  const port = await listening(t, impostor);
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  for (const tls of [server.tls, { validate: true } as const]) {
    const fooled = await inFront(t, { address, tls });
    t.is((await get(fooled, SETS, token)).code, 'SERVER_UNREACHABLE');
  }
  t.is(requested, 0);
});

/** Changes of a server's answer: another question's number, another message, cut, longer, and bytes of its head. */
const LIES: Readonly<Record<string, (answer: Buffer, earlier: Buffer | undefined) => Buffer>> = {
  'another message': (answer) => withByte(answer, 0, 99),
  'an unknown message': (answer) => withByte(answer, 0, 250),
  'an earlier answer again': (answer, earlier) => earlier ?? answer,
  'a length beyond the message': (answer) => withByte(answer, 7, 0x7f),
  'half of it': (answer) => answer.subarray(0, answer.length >> 1),
  'nothing of it': (answer) => answer.subarray(0, 0),
  'other bytes in its head': (answer) => {
    const changed = Buffer.from(answer);
    for (let at = 8; at < changed.length; at += 7) changed[at]! ^= 0x55;
    return changed;
  },
};

function withByte(answer: Buffer, at: number, byte: number): Buffer {
  const changed = Buffer.from(answer);
  changed[at] = byte;
  return changed;
}

test('a server that lies is named as the culprit, and harms no other token', async (t) => {
  let lie: (typeof LIES)[string] | undefined;
  const wrapHost = tapped(() => {
    let earlier: Buffer | undefined;
    return {
      answer: (answer) => {
        const reported = lie?.(answer, earlier) ?? answer;
        earlier = Buffer.from(answer); // the sender gives the answer away
        return reported;
      },
    };
  });
  const liar = await startOverTls(lab.home, lab.place.store, { wrapHost });
  t.teardown(() => liar.stop());
  const gateway = await inFront(t, liar);
  const token = await giveToken(lab.place, 'lied-to', ['list', 'read', 'admin']);
  const file = encodeURIComponent(path.join(lab.source, 'large'));
  const routes = [
    SETS,
    '/clients',
    `${SETS}/1/roots`,
    `${SETS}/1/entry?path=${file}`,
    `${SETS}/1/directory?path=${encodeURIComponent(lab.source)}`,
    '/clients/me/search?pattern=f*',
    '/clients/me/changes?from=1&to=2',
    '/clients/me/space',
  ];
  for (const [kind, change] of Object.entries(LIES)) {
    for (const route of routes) {
      lie = undefined;
      const honest = await get(gateway, route, token);
      t.is(honest.status, 200, `${kind} before ${route}: ${honest.text}`);
      lie = change;
      const lied = await get(gateway, route, token);
      t.true([502, 503].includes(lied.status), `${kind} ${route}: ${lied.status} ${lied.text}`);
    }
  }
});

test('a content that a server has changed is cut off before its end', async (t) => {
  let isLying = false;
  const wrapHost = tapped(() => ({
    answer: (answer) => {
      if (!isLying || answer[0] !== MESSAGES.objectIs.number || answer.length < 4096) return answer;
      return withByte(answer, answer.length - 100, answer.at(-100)! ^ 1);
    },
  }));
  const liar = await startOverTls(lab.home, lab.place.store, { wrapHost });
  t.teardown(() => liar.stop());
  const gateway = await inFront(t, liar);
  const token = await giveToken(lab.place, 'content', ['list', 'read']);
  isLying = true;
  await t.throwsAsync(async () => {
    const answer = await get(gateway, contentOf('large'), token);
    if (answer.status !== 200) throw new Error('refused');
  });
});
