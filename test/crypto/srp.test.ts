/** SRP-6a with the vectors of RFC 5054, and with peers that violate the protocol. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import {
  type SrpGroup,
  srpClientKey,
  srpGroup,
  srpMultiplier,
  srpPower,
  srpPrivateKey,
  srpScramble,
  srpSecret,
  srpServerKey,
  srpServerPublic,
} from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';

const { modPow } = nodeSystem().native;

function bytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

// The 1024-bit group of RFC 5054, appendix A. Only the test vectors use it.
const VECTOR_GROUP: SrpGroup = {
  hash: 'sha1',
  generator: 2,
  modulus: bytes(`
    EEAF0AB9 ADB38DD6 9C33F80A FA8FC5E8 60726187 75FF3C0B 9EA2314C 9C256576
    D674DF74 96EA81D3 383B4813 D692C6E0 E0D5D8E2 50B98BE4 8E495C1D 6089DAD1
    5DC7D7B4 6154D6B6 CE8EF4AD 69B15D49 82559B29 7BCF1885 C529F566 660E57EC
    68EDBC3C 05726CC0 2FD4CBF4 976EAA9A FD5138FE 8376435B 9FC61D2F C0EB06E3`),
};

// The test vectors of RFC 5054, appendix B.
const VECTOR = {
  salt: bytes('BEB25379 D1A8581E B5A72767 3A2441EE'),
  multiplier: BigInt('0x7556AA045AEF2CDD07ABAF0F665C3E818913186F'),
  privateKey: bytes('94B7555A ABE9127C C58CCF49 93DB6CF8 4D16C124'),
  verifier: bytes(`
    7E273DE8 696FFC4F 4E337D05 B4B375BE B0DDE156 9E8FA00A 9886D812 9BADA1F1 822223CA 1A605B53
    0E379BA4 729FDC59 F105B478 7E5186F5 C671085A 1447B52A 48CF1970 B4FB6F84 00BBF4CE BFBB1681
    52E08AB5 EA53D15C 1AFF87B2 B9DA6E04 E058AD51 CC72BFC9 033B564E 26480D78 E955A5E2 9E7AB245
    DB2BE315 E2099AFB`),
  a: bytes('60975527 035CF2AD 1989806F 0407210B C81EDC04 E2762A56 AFD529DD DA2D4393'),
  b: bytes('E487CB59 D31AC550 471E81F0 0F6928E0 1DDA08E9 74A004F4 9E61F5D1 05284D20'),
  clientPublic: bytes(`
    61D5E490 F6F1B795 47B0704C 436F523D D0E560F0 C64115BB 72557EC4 4352E890 3211C046 92272D8B
    2D1A5358 A2CF1B6E 0BFCF99F 921530EC 8E393561 79EAE45E 42BA92AE ACED8251 71E1E8B9 AF6D9C03
    E1327F44 BE087EF0 6530E69F 66615261 EEF54073 CA11CF58 58F0EDFD FE15EFEA B349EF5D 76988A36
    72FAC47B 0769447B`),
  serverPublic: bytes(`
    BD0C6151 2C692C0C B6D041FA 01BB152D 4916A1E7 7AF46AE1 05393011 BAF38964 DC46A067 0DD125B9
    5A981652 236F99D9 B681CBF8 7837EC99 6C6DA044 53728610 D0C6DDB5 8B318885 D7D82C7F 8DEB75CE
    7BD4FBAA 37089E6F 9C6059F3 88838E7A 00030B33 1EB76840 910440B1 B27AAEAE EB4012B7 D7665238
    A8E3FB00 4B117B58`),
  scramble: bytes('CE38B959 3487DA98 554ED47D 70A7AE5F 462EF019'),
  premaster: bytes(`
    B0DC82BA BCF30674 AE450C02 87745E79 90A3381F 63B387AA F271A10D 233861E3 59B48220 F7C4693C
    9AE12B0A 6F67809F 0876E2D0 13800D6C 41BB59B6 D5979B5C 00A172B4 A2A5903A 0BDCAF8A 709585EB
    2AFAFA8F 3499B200 210DCC1F 10EB3394 3CD67FC8 8A2F39A4 BE5BEC4E C0A3212D C346D7E4 74B29EDE
    8A469FFE CA686E5A`),
};

test('the vectors of RFC 5054 come out', async (t) => {
  const { salt, a, b, verifier, privateKey, clientPublic, serverPublic } = VECTOR;
  const group = VECTOR_GROUP;
  t.deepEqual(srpPrivateKey(group, salt, 'alice', Buffer.from('password123')), privateKey);
  t.is(srpMultiplier(group), VECTOR.multiplier);
  t.deepEqual(await srpPower(modPow, group, privateKey), verifier);
  t.deepEqual(await srpPower(modPow, group, a), clientPublic);
  t.deepEqual(await srpServerPublic(modPow, group, verifier, b), serverPublic);
  t.deepEqual(srpScramble(group, clientPublic, serverPublic), VECTOR.scramble);
  const client = { privateKey, secret: a, clientPublic, serverPublic };
  t.deepEqual(await srpClientKey(modPow, group, client), VECTOR.premaster);
  const server = { verifier, secret: b, clientPublic, serverPublic };
  t.deepEqual(await srpServerKey(modPow, group, server), VECTOR.premaster);
});

test('the group in use is the 3072-bit one of RFC 5054', (t) => {
  const { modulus, generator, hash } = srpGroup();
  const hex = modulus.toString('hex').toUpperCase();
  t.is(modulus.length * 8, 3072);
  t.true(hex.startsWith('FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74'));
  t.true(hex.endsWith('E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF'));
  t.is(generator, 5);
  t.is(hash, 'sha256');
});

test('both ends get one key from one password, and from no other', async (t) => {
  const group = srpGroup();
  const salt = randomBytes(16);
  const right = srpPrivateKey(group, salt, 'tardis', Buffer.from('right'));
  const wrong = srpPrivateKey(group, salt, 'tardis', Buffer.from('wrong'));
  const verifier = await srpPower(modPow, group, right);
  const [a, b] = [srpSecret(), srpSecret()];
  const clientPublic = await srpPower(modPow, group, a);
  const serverPublic = await srpServerPublic(modPow, group, verifier, b);
  const server = { verifier, secret: b, clientPublic, serverPublic };
  const key = await srpServerKey(modPow, group, server);
  const keyOf = (privateKey: Buffer): Promise<Buffer> =>
    srpClientKey(modPow, group, { privateKey, secret: a, clientPublic, serverPublic });
  t.deepEqual(await keyOf(right), key);
  t.notDeepEqual(await keyOf(wrong), key);
});

test('values that would make the key known are refused at both ends', async (t) => {
  const group = srpGroup();
  const number = (value: bigint): Buffer =>
    Buffer.from(value.toString(16).padStart(768, '0'), 'hex');
  const prime = BigInt(`0x${group.modulus.toString('hex')}`);
  const privateKey = srpPrivateKey(group, randomBytes(16), 'tardis', Buffer.from('secret'));
  const verifier = await srpPower(modPow, group, privateKey);
  const secret = srpSecret();
  const honest = await srpPower(modPow, group, secret);
  const kv = (srpMultiplier(group) * BigInt(`0x${verifier.toString('hex')}`)) % prime;
  const bad: Record<string, Buffer> = {
    zero: number(0n),
    one: number(1n),
    'minus one': number(prime - 1n),
    N: number(prime),
    'N and one': number(prime + 1n),
    'all ones': Buffer.alloc(384, 0xff),
    short: Buffer.alloc(383, 1),
    long: Buffer.alloc(385, 1),
    empty: Buffer.alloc(0),
  };
  for (const [what, value] of Object.entries(bad)) {
    const server = { verifier, secret, clientPublic: value, serverPublic: honest };
    t.is(await rejectedCode(srpServerKey(modPow, group, server)), 'LOGIN_FAILED', `A is ${what}`);
    const client = { privateKey, secret, clientPublic: honest, serverPublic: value };
    t.is(await rejectedCode(srpClientKey(modPow, group, client)), 'LOGIN_FAILED', `B is ${what}`);
  }
  // A value of B without its random part would make the client's base 0.
  const client = { privateKey, secret, clientPublic: honest, serverPublic: number(kv) };
  t.is(await rejectedCode(srpClientKey(modPow, group, client)), 'LOGIN_FAILED');
});

test('powers have up to 1024 bytes and an odd modulus', async (t) => {
  t.deepEqual(await modPow(Buffer.of(5), Buffer.of(3), Buffer.of(101)), Buffer.of(24));
  t.deepEqual(await modPow(Buffer.of(0, 5), Buffer.of(0), Buffer.of(0, 101)), Buffer.of(0, 1));
  for (const modulus of [Buffer.of(100), Buffer.alloc(0), Buffer.alloc(1025, 1)]) {
    t.throws(() => modPow(Buffer.of(5), Buffer.of(3), modulus), { code: 'EINVAL' });
  }
});
