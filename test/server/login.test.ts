// Pace: slow
/** Logins that succeed and fail, and what other peers can learn from them. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { srpGroup, srpMultiplier, parseKeyRecord } from '../../src/crypto/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { listClients, newestKeys } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { ManualClock } from '../support/manual-clock.js';
import type { Channel } from '../../src/transport/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { helloOf } from '../helpers/greetings.js';
import {
  compareTimes,
  makeClient,
  NETWORK,
  serviceOf,
  tryLogin,
  welch,
} from '../helpers/logins.js';
import { scratch, scratchInMemory } from '../helpers/scratch.js';
import { share } from '../helpers/share.js';

const UNIX: Channel = { kind: 'unix', keyingMaterial: Buffer.alloc(0), peerAddress: '' };

test('the right password gets in, a wrong one and an unknown client get the same answer', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const service = serviceOf(store);
  t.is((await tryLogin(service, 'known', 'secret')).error, undefined);
  const reported = new Set<string>();
  for (const client of ['known', 'unknown']) {
    const { error } = await tryLogin(service, client, 'wrong');
    const { code, message, context } = asTardisError(error);
    t.is(code, 'LOGIN_FAILED');
    reported.add(JSON.stringify({ code, message: message.replace(client, '*'), context }));
  }
  t.is(reported.size, 1, [...reported].join());
});

test('a decoy is the same for a name each time, after a restart too, and has the form of a record', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const challengeOf = async (client: string) =>
    (await serviceOf(store).begin(helloOf(client), NETWORK))!.challenge;
  const [first, again, other] = [
    await challengeOf('a'),
    await challengeOf('a'),
    await challengeOf('b'),
  ];
  t.deepEqual(first.salt, again.salt);
  t.notDeepEqual(first.salt, other.salt);
  t.notDeepEqual(first.serverPublic, again.serverPublic);
  const real = await challengeOf('known');
  const shapeOf = ({ salt, serverPublic, logN: _, ...rest }: typeof real) =>
    JSON.stringify({ ...rest, salt: salt.length, shown: serverPublic.length });
  t.is(shapeOf(first), shapeOf(real));
  // The cost of a guess is one that clients of either profile have, and it is constant for a name.
  const names = Array.from({ length: 64 }, (_, index) => `n${index}`);
  const prices = await Promise.all(names.map(async (name) => (await challengeOf(name)).logN));
  t.deepEqual(
    [...new Set(prices)].toSorted((one, other) => one - other),
    [15, 17],
  );
  t.is(first.logN, again.logN);
});

test('a server without a store shows the decoy that the store gets later', async (t) => {
  const store = path.join(scratch(t), 'store');
  const service = serviceOf(store);
  const saltOf = async (): Promise<Buffer> =>
    (await service.begin(helloOf('a'), NETWORK))!.challenge.salt;
  const before = await saltOf();
  t.deepEqual(await saltOf(), before);
  await makeClient(store, 'known');
  t.deepEqual(await saltOf(), before);
  t.true(fs.existsSync(path.join(store, '.login', 'keys', '00000001.key')));
  t.deepEqual((await serviceOf(store).begin(helloOf('a'), NETWORK))!.challenge.salt, before);
  t.deepEqual(listClients(nodeSystem(), store), ['known']);
});

/** A t of Welch's test that occurs by chance in one of 150,000 comparisons. */
const LEAKING_T = 4.5;
const MOST_ROUNDS = 3;
/** The logins to compare. The full number finds differences that are half as large. */
const LOGINS = share < 1 ? 1500 : 5000;

test.serial('known and unknown clients take the same time', async (t) => {
  t.timeout(30 * 60_000); // 5,000 logins on a slow machine
  const store = scratchInMemory(t);
  await makeClient(store, 'known', 'secret');
  const service = serviceOf(store);
  const names = { known: 'known', unknown: 'unheard' };
  await compareTimes(service, names, 100); // warms up the code
  // Other work on the machine causes a difference now and then; a leak causes one each time.
  for (let round = 1; ; round += 1) {
    const { challenge, answer } = await compareTimes(service, names, LOGINS);
    const reported = `Welch t: challenge ${challenge.toFixed(2)}, answer ${answer.toFixed(2)}`;
    t.log(reported);
    if (Math.max(Math.abs(challenge), Math.abs(answer)) < LEAKING_T) break;
    if (round === MOST_ROUNDS) return t.fail(reported);
  }
  t.pass();
});

test('the comparison of times finds a difference where there is one', (t) => {
  const noisy = (middle: number): number[] =>
    Array.from({ length: 2500 }, () => middle + Math.random());
  t.true(Math.abs(welch(noisy(3), noisy(3))) < LEAKING_T);
  t.true(Math.abs(welch(noisy(3), noisy(3.1))) > LEAKING_T);
});

test('a challenge comes no sooner than it may', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const service = serviceOf(store, { challengeAfterMs: 150 });
  for (const client of ['known', 'unknown']) {
    t.true((await tryLogin(service, client, 'wrong')).challengeMs >= 148, client);
  }
});

test('a proof holds for its own channel, greeting and challenge only', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const service = serviceOf(store);
  for (const seen of [
    { ...NETWORK, keyingMaterial: randomBytes(32) },
    { ...NETWORK, keyingMaterial: Buffer.alloc(0) },
    { ...NETWORK, kind: 'tcp' as const },
  ]) {
    const { error } = await tryLogin(service, 'known', 'secret', NETWORK, seen);
    t.is(asTardisError(error).code, 'LOGIN_FAILED');
  }
});

test('a recorded session allows no test of a guess, cheap or dear', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const service = serviceOf(store);
  const system = nodeSystem();
  const { modulus } = srpGroup();
  const prime = numberOf(modulus);
  const half = Buffer.from(((prime - 1n) / 2n).toString(16), 'hex');
  const { verifier } = parseKeyRecord(newestKeys(system, path.join(store, 'known'))!.bytes);
  const wrong = randomBytes(384);
  wrong[0] = 0;
  // B minus k v is g^b for the right guess. If that were a square more often for the right guess than for a wrong one,
  // each recorded session would halve the guesses. It is a square half of the time for both.
  const squares = { right: 0, wrong: 0 };
  const sessions = 150;
  const seen = new Set<string>();
  for (let count = 0; count < sessions; count += 1) {
    const pending = await service.begin(helloOf('known'), NETWORK);
    const { serverPublic } = pending!.challenge;
    seen.add(serverPublic.toString('hex'));
    for (const [which, guess] of [
      ['right', verifier],
      ['wrong', wrong],
    ] as const) {
      const left = numberOf(serverPublic) - srpMultiplier(srpGroup()) * numberOf(guess);
      const base = (((left % prime) + prime) % prime).toString(16).padStart(768, '0');
      const power = await system.native.modPow(Buffer.from(base, 'hex'), half, modulus);
      if (numberOf(power) === 1n) squares[which] += 1;
    }
  }
  t.is(seen.size, sessions);
  for (const [which, count] of Object.entries(squares)) {
    // The limit is six standard deviations from one half.
    t.true(Math.abs(count - sessions / 2) < 3 * Math.sqrt(sessions), `${which}: ${count}`);
  }
});

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

test('over a unix socket errors are exact', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'locked', 'secret');
  await makeClient(store, 'open');
  const service = serviceOf(store);
  t.is(await rejectedCode(service.begin(helloOf('unknown'), UNIX)), 'NO_SUCH_CLIENT');
  t.is(await service.begin(helloOf('open'), UNIX), undefined);
  t.not(await service.begin(helloOf('locked'), UNIX), undefined);
  const strict = serviceOf(store, { requirePassword: true });
  t.is(await rejectedCode(strict.begin(helloOf('open'), UNIX)), 'PASSWORD_NOT_SET');
  fs.appendFileSync(path.join(store, 'locked', 'keys', '00000001.key'), 'x');
  t.is(await rejectedCode(service.begin(helloOf('locked'), UNIX)), 'KEYS_DAMAGED');
  // Over a network, a damaged record looks like an unknown client.
  t.is(asTardisError((await tryLogin(service, 'locked', 'secret')).error).code, 'LOGIN_FAILED');
  fs.rmSync(path.join(store, 'locked', 'keys', '00000001.key'));
  t.is(asTardisError((await tryLogin(service, 'locked', 'secret')).error).code, 'LOGIN_FAILED');
});

test('over a unix socket nobody learns which accounts a client has', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'locked', 'secret');
  const service = serviceOf(store);
  const pending = await service.begin({ ...helloOf('locked'), account: 'nobody' }, UNIX);
  t.truthy(pending?.challenge);
  pending?.abandon();
});

test('a server that requires passwords lets nobody in without, and gives the network no reason', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'open');
  t.is(await serviceOf(store).begin(helloOf('open'), NETWORK), undefined);
  const strict = serviceOf(store, { requirePassword: true, allowCreate: true });
  t.is(asTardisError((await tryLogin(strict, 'open', 'any')).error).code, 'LOGIN_FAILED');
  const create = helloOf('fresh', { create: true });
  t.is(await rejectedCode(strict.begin(create, NETWORK)), 'PASSWORD_NEEDED');
  t.false(fs.existsSync(path.join(store, 'fresh')));
});

test('too many failures are refused before anything is computed, and an abandoned login is one', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const clock = new ManualClock(0);
  const system = { ...nodeSystem(), native: nodeSystem().native, clock };
  const pair = { burst: 3, refillMs: 1000 };
  const attempts = { pair, address: { burst: 100, refillMs: 1 } };
  for (const client of ['known', 'unknown']) {
    const service = serviceOf(store, { attempts }, system);
    await tryLogin(service, client, 'wrong');
    await tryLogin(service, client, 'wrong');
    (await service.begin(helloOf(client), NETWORK))!.abandon();
    t.is(await rejectedCode(service.begin(helloOf(client), NETWORK)), 'TOO_MANY_ATTEMPTS');
    const elsewhere = { ...NETWORK, peerAddress: '10.0.0.2' };
    t.not(await service.begin(helloOf(client), elsewhere), undefined);
    clock.advance(1001);
    t.not(await service.begin(helloOf(client), NETWORK), undefined);
  }
});

test('guesses made at once are no more than one after the other, and the owner is not refused for his own logins', async (t) => {
  const store = scratch(t);
  await makeClient(store, 'known', 'secret');
  const system = { ...nodeSystem(), native: nodeSystem().native, clock: new ManualClock(0) };
  const attempts = { pair: { burst: 3, refillMs: 1000 }, address: { burst: 100, refillMs: 1000 } };
  const many = <T>(what: () => Promise<T>): Promise<T>[] => Array.from({ length: 12 }, what);
  for (const client of ['known', 'unknown']) {
    const service = serviceOf(store, { attempts }, system);
    const guesses = many(async () => {
      const { error } = await tryLogin(service, client, 'wrong');
      return asTardisError(error).code;
    });
    const settled = await Promise.allSettled(guesses);
    const codes = settled.map((one) =>
      one.status === 'fulfilled' ? one.value : asTardisError(one.reason).code,
    );
    t.is(codes.filter((code) => code === 'LOGIN_FAILED').length, 3, codes.join());
    t.is(codes.filter((code) => code === 'TOO_MANY_ATTEMPTS').length, 9, codes.join());
  }
  const service = serviceOf(store, { attempts }, system);
  const own = await Promise.all(many(() => tryLogin(service, 'known', 'secret')));
  t.true(own.every(({ error }) => error === undefined));
});

test('NewHostsAtOnce limits the new clients of one address, but not of others or of a unix socket', async (t) => {
  const store = scratch(t);
  const clock = new ManualClock(0);
  const system = { ...nodeSystem(), native: nodeSystem().native, clock };
  const service = serviceOf(store, { allowCreate: true }, system);
  const make = (name: string, channel = NETWORK) =>
    rejectedCode(service.begin(helloOf(name, { create: true }), channel));
  const codes: (string | undefined)[] = [];
  for (let count = 0; count < 25; count += 1) codes.push(await make(`c${count}`));
  t.is(codes.indexOf('TOO_MANY_ATTEMPTS'), 20);
  t.is(codes.lastIndexOf(undefined), 19);
  t.is(fs.readdirSync(store).filter((name) => name.startsWith('c')).length, 20);
  t.is(await make('elsewhere', { ...NETWORK, peerAddress: '10.0.0.2' }), undefined);
  t.is(await make('local', { ...NETWORK, kind: 'unix' }), undefined);
  clock.advance(60_001);
  t.is(await make('later'), undefined);
  t.is(await make('too soon'), 'CLIENT_NAME_INVALID');
  t.is(await make('too-soon'), 'TOO_MANY_ATTEMPTS');
});

test('a name that is none never reaches a path', async (t) => {
  const service = serviceOf(scratch(t));
  for (const client of ['../x', '.login', '', 'a/b', 'a\0b', 'x'.repeat(200)]) {
    t.is(await rejectedCode(service.begin(helloOf(client), NETWORK)), 'CLIENT_NAME_INVALID');
  }
});
