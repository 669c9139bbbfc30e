/** Logins without a network: a service over a store, and clients that answer its challenges. */
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import {
  ClientLogin,
  newKeyRecord,
  srpGroup,
  srpPower,
  srpSecret,
  type StretchedPassword,
  stretchPassword,
} from '../../src/crypto/index.js';
import { LoginService, type LoginOptions } from '../../src/server/index.js';
import { createClientDirectory } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { type Channel, encodeMessage } from '../../src/transport/index.js';
import { helloOf } from './greetings.js';
import { LIGHT } from './light.js';

export const NETWORK: Channel = Object.freeze({
  kind: 'tls',
  keyingMaterial: Buffer.alloc(32, 7),
  peerAddress: '10.0.0.1',
});

/** A limit that no number of attempts reaches. */
const BOUNDLESS = { burst: 1e9, refillMs: 1 };

export function serviceOf(
  store: string,
  options: Partial<LoginOptions> = {},
  system: System = nodeSystem(),
): LoginService {
  return new LoginService(
    system,
    {
      baseDir: store,
      catalogFile: 'tardis.db',
      allowCreate: false,
      newHostsAtOnce: 20,
      onlyClient: undefined,
      requirePassword: false,
      attempts: { pair: BOUNDLESS, address: BOUNDLESS },
      challengeAfterMs: 0,
      ...options,
    },
    pino({ level: 'silent' }),
  );
}

/** Creates a client in a store, with or without a password. */
export async function makeClient(
  store: string,
  client: string,
  password?: string,
  isEncrypting = false,
): Promise<void> {
  const system = nodeSystem();
  const made =
    password === undefined
      ? undefined
      : await newKeyRecord(system.native.modPow, Buffer.from(password), isEncrypting, LIGHT);
  await createClientDirectory(system, {
    store,
    client,
    ...(made === undefined ? {} : { keys: made.record.bytes }),
  });
}

export interface Tried {
  /** Milliseconds from greeting to challenge, and from proof to answer. */
  readonly challengeMs: number;
  readonly answerMs: number;
  /** Undefined if the login succeeded. */
  readonly error: Error | undefined;
}

/** Stretched passwords by password and salt: the client's work must not affect the server's times. */
const stretched = new Map<string, Promise<StretchedPassword>>();

/** Performs one login. `password` is stretched with the parameters of the challenge, once for each salt. */
export async function tryLogin(
  service: LoginService,
  client: string,
  password: string,
  channel: Channel = NETWORK,
  channelSeenByClient: Channel = channel,
): Promise<Tried> {
  const hello = helloOf(client);
  const greeting = encodeMessage('hello', hello).head;
  const startMs = performance.now();
  const pending = await service.begin(hello, channel);
  const challengeMs = performance.now() - startMs;
  if (pending === undefined) throw new Error('there was no challenge');
  const challenge = encodeMessage('loginChallenge', pending.challenge).head;
  const contextOf = ({ kind: channelKind, keyingMaterial }: Channel) => ({
    channelKind,
    keyingMaterial,
    greeting,
    challenge,
  });
  const login = new ClientLogin(nodeSystem().native.modPow);
  const proof = await login.answer(
    { ...pending.challenge, group: pending.challenge.group },
    contextOf(channelSeenByClient),
    (salt, parameters) => {
      const key = `${password}/${salt.toString('hex')}`;
      const known = stretched.get(key) ?? stretchPassword(Buffer.from(password), salt, parameters);
      stretched.set(key, known);
      return known;
    },
  );
  const provenMs = performance.now();
  try {
    const own = await pending.check({ ...proof }, contextOf(channel));
    login.confirm(own);
    return { challengeMs, answerMs: performance.now() - provenMs, error: undefined };
  } catch (error) {
    return { challengeMs, answerMs: performance.now() - provenMs, error: error as Error };
  }
}

/** Returns Welch's t of two samples: the distance of their means in standard errors. */
export function welch(a: readonly number[], b: readonly number[]): number {
  const mean = (of: readonly number[]): number => of.reduce((sum, x) => sum + x, 0) / of.length;
  const error = (of: readonly number[]): number => {
    const middle = mean(of);
    return of.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (of.length - 1) / of.length;
  };
  return (mean(a) - mean(b)) / Math.sqrt(error(a) + error(b));
}

/**
 * Attempts a login with a guessed proof: A is a valid power, the proof is random. The server does the same work
 * for it as for a correct proof, and the client almost none.
 */
async function guess(service: LoginService, client: string, clientPublic: Buffer): Promise<Tried> {
  const startMs = performance.now();
  const pending = await service.begin(helloOf(client), NETWORK);
  const challengeMs = performance.now() - startMs;
  const context = {
    channelKind: NETWORK.kind,
    keyingMaterial: NETWORK.keyingMaterial,
    greeting: Buffer.alloc(64, 1),
    challenge: Buffer.alloc(450, 2),
  };
  const provenMs = performance.now();
  try {
    await pending!.check({ clientPublic, proof: randomBytes(32) }, context);
  } catch (error) {
    return { challengeMs, answerMs: performance.now() - provenMs, error: error as Error };
  }
  throw new Error('a guess got in');
}

/**
 * Times guessed logins of an existing client and of an unknown one in random order. Returns Welch's t of the
 * times of challenges and of answers. The slowest tenth of both samples is excluded, because the machine was busy
 * then.
 */
export async function compareTimes(
  service: LoginService,
  names: { readonly known: string; readonly unknown: string },
  logins: number,
): Promise<{ challenge: number; answer: number }> {
  const group = srpGroup();
  const clientPublic = await srpPower(nodeSystem().native.modPow, group, srpSecret());
  const samples = { known: [] as Tried[], unknown: [] as Tried[] };
  for (let count = 0; count < logins; count += 1) {
    const which = Math.random() < 0.5 ? 'known' : 'unknown';
    samples[which].push(await guess(service, names[which], clientPublic));
  }
  const tOf = (time: (tried: Tried) => number): number => {
    const kept = (of: readonly Tried[]): number[] => {
      const sorted = of.map(time).sort((a, b) => a - b);
      return sorted.slice(0, Math.ceil(sorted.length * 0.9));
    };
    return welch(kept(samples.known), kept(samples.unknown));
  };
  return { challenge: tOf((tried) => tried.challengeMs), answer: tOf((tried) => tried.answerMs) };
}
