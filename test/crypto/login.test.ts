/** The client and the server side of a login, without a connection between them. */
import test from 'ava';
import {
  type Challenge,
  ClientLogin,
  type LoginContext,
  newKeyRecord,
  ServerLogin,
} from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { LIGHT } from '../helpers/light.js';

const { modPow } = nodeSystem().native;

const CONTEXT: LoginContext = {
  channelKind: 'tls',
  keyingMaterial: Buffer.alloc(32, 1),
  greeting: Buffer.from('a greeting'),
  challenge: Buffer.from('a challenge'),
};

test('proofs cover the channel, the greeting, the challenge, and where each of them ends', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, Buffer.from('secret'), true, LIGHT);
  const attempt = async (seen: LoginContext): Promise<boolean> => {
    const server = await ServerLogin.begin(modPow, record);
    const client = new ClientLogin(modPow);
    const proof = await client.answer(server.challenge, seen, () => Promise.resolve(secrets));
    t.true(client.isAwaitingProof);
    const own = await server.check(proof, CONTEXT);
    if (own === undefined) return false;
    for (const bad of [Buffer.alloc(0), Buffer.alloc(32), proof.proof, own.subarray(1)]) {
      t.is(
        thrownCode(() => client.confirm(bad)),
        'SERVER_NOT_PROVEN',
      );
    }
    client.confirm(own);
    return true;
  };
  t.true(await attempt(CONTEXT));
  for (const changed of [
    { channelKind: 'tcp' },
    { keyingMaterial: Buffer.alloc(0) },
    { keyingMaterial: Buffer.alloc(32, 2) },
    { greeting: Buffer.from('another greeting') },
    { challenge: Buffer.from('another challenge') },
    { greeting: Buffer.from('a greetinga'), challenge: Buffer.from(' challenge') },
  ]) {
    t.false(await attempt({ ...CONTEXT, ...changed }), JSON.stringify(changed));
  }
});

test('a proof of another length, or for another A, is none', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, Buffer.from('secret'), true, LIGHT);
  const server = await ServerLogin.begin(modPow, record);
  const answered = (login: ClientLogin) =>
    login.answer(server.challenge, CONTEXT, () => Promise.resolve(secrets));
  const { clientPublic, proof } = await answered(new ClientLogin(modPow));
  const { clientPublic: other } = await answered(new ClientLogin(modPow));
  t.is(await server.check({ clientPublic: other, proof }, CONTEXT), undefined);
  for (const bad of [Buffer.alloc(0), proof.subarray(1), Buffer.concat([proof, proof])]) {
    t.is(await server.check({ clientPublic, proof: bad }, CONTEXT), undefined);
  }
  t.not(await server.check({ clientPublic, proof }, CONTEXT), undefined);
});

test('a client answers no challenge that it does not know', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, Buffer.from('secret'), true, LIGHT);
  const { challenge } = await ServerLogin.begin(modPow, record);
  const answer = (changes: Partial<Challenge>): Promise<unknown> =>
    new ClientLogin(modPow).answer({ ...challenge, ...changes }, CONTEXT, () =>
      Promise.resolve(secrets),
    );
  t.is(await rejectedCode(answer({})), undefined);
  for (const changes of [
    { group: 0 },
    { group: 2 },
    { salt: Buffer.alloc(15) },
    { salt: Buffer.alloc(0) },
    { serverPublic: Buffer.alloc(384) },
    { serverPublic: Buffer.alloc(384, 0xff) },
    { serverPublic: Buffer.alloc(10, 5) },
  ]) {
    t.is(await rejectedCode(answer(changes)), 'LOGIN_FAILED', JSON.stringify(changes));
  }
  const two = new ClientLogin(modPow);
  t.false(two.isAwaitingProof);
  t.is(
    thrownCode(() => two.confirm(Buffer.alloc(32))),
    'SERVER_NOT_PROVEN',
  );
});
