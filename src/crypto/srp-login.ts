/**
 * The two sides of a login: SRP-6a, then proofs of its key that cover the messages exchanged and the channel that
 * carried them. A man in the middle with a TLS connection to each side has two channels, and so cannot forward a
 * proof.
 *
 *   T  = SHA-256 of these parts, each preceded by its length (u32): the kind of the channel, the keying material
 *        exported from TLS (empty without TLS), the greeting and the challenge as they were sent, the client's
 *        public value
 *   M1 = HMAC-SHA-256(SHA-256(S), "tardis login 1: client" | T), the client's proof; S is the shared secret of SRP
 *   M2 = HMAC-SHA-256(SHA-256(S), "tardis login 1: server" | T), the server's proof
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import { type KeyRecord, LOGIN_GROUP, loginPrivateKey } from './key-record.js';
import {
  type ModPow,
  srpClientKey,
  srpGroup,
  srpPower,
  srpSecret,
  srpServerKey,
  srpServerPublic,
} from './srp.js';
import { SALT_BYTES, type StretchedPassword, type StretchParameters } from './stretch.js';

/** Values to which a login is bound, besides the exchanged ones. */
export interface LoginContext {
  readonly channelKind: string;
  readonly keyingMaterial: Buffer;
  /** Bytes of the greeting and of the challenge, as they were sent. */
  readonly greeting: Buffer;
  readonly challenge: Buffer;
}

/** The challenge that the server sends. */
export interface Challenge extends StretchParameters {
  readonly group: number;
  readonly salt: Buffer;
  readonly serverPublic: Buffer;
}

interface ClientProof {
  readonly clientPublic: Buffer;
  readonly proof: Buffer;
}

/** The server's side of one login. */
export class ServerLogin {
  private constructor(
    private readonly modPow: ModPow,
    private readonly record: KeyRecord,
    private readonly secret: Buffer,
    private readonly serverPublic: Buffer,
  ) {}

  static async begin(modPow: ModPow, record: KeyRecord): Promise<ServerLogin> {
    const secret = srpSecret();
    const shown = await srpServerPublic(modPow, srpGroup(), record.verifier, secret);
    return new ServerLogin(modPow, record, secret, shown);
  }

  get challenge(): Challenge {
    const { salt, parameters } = this.record;
    return { ...parameters, group: LOGIN_GROUP, salt, serverPublic: this.serverPublic };
  }

  /**
   * Returns the server's proof if the client's proof is right, else undefined. Throws LOGIN_FAILED for a value that no
   * honest client sends.
   */
  async check(
    { clientPublic, proof }: ClientProof,
    context: LoginContext,
  ): Promise<Buffer | undefined> {
    const { modPow, secret, serverPublic } = this;
    const { verifier } = this.record;
    const sides = { verifier, secret, clientPublic, serverPublic };
    const key = await srpServerKey(modPow, srpGroup(), sides);
    const proofs = proofsOf(key, context, clientPublic);
    const isRight = proof.length === proofs.client.length && timingSafeEqual(proof, proofs.client);
    return isRight ? proofs.server : undefined;
  }
}

/** The client's side of one login. */
export class ClientLogin {
  private expected: Buffer | undefined;

  constructor(private readonly modPow: ModPow) {}

  /** True after a proof was sent: the server's welcome must then contain its own proof. */
  get isAwaitingProof(): boolean {
    return this.expected !== undefined;
  }

  /**
   * Returns the answer to a challenge. `stretch` computes the secrets of the password; a caller that has them for this
   * salt can skip the memory-hard call. Throws LOGIN_FAILED if this release does not know that kind of login, or if no
   * honest server sends such a challenge.
   */
  async answer(
    { group, salt, serverPublic, logN, r, p }: Challenge,
    context: LoginContext,
    stretch: (salt: Buffer, parameters: StretchParameters) => Promise<StretchedPassword>,
  ): Promise<ClientProof> {
    if (group !== LOGIN_GROUP || salt.length !== SALT_BYTES) {
      throw new TardisError(
        'LOGIN_FAILED',
        'the server requests a login that this release does not know',
      );
    }
    const { modPow } = this;
    const secret = srpSecret();
    const [secrets, clientPublic] = await Promise.all([
      stretch(salt, { logN, r, p }),
      srpPower(modPow, srpGroup(), secret),
    ]);
    const privateKey = loginPrivateKey(salt, secrets);
    const sides = { privateKey, secret, clientPublic, serverPublic };
    const key = await srpClientKey(modPow, srpGroup(), sides);
    const proofs = proofsOf(key, context, clientPublic);
    this.expected = proofs.server;
    return { clientPublic, proof: proofs.client };
  }

  /** Checks the server's proof. Throws SERVER_NOT_PROVEN if it is wrong or empty. */
  confirm(proof: Buffer): void {
    const { expected } = this;
    const isRight = expected?.length === proof.length && timingSafeEqual(expected, proof);
    if (isRight) return;
    throw new TardisError('SERVER_NOT_PROVEN', 'the server did not prove that it knows the client');
  }
}

function proofsOf(
  key: Buffer,
  { channelKind, keyingMaterial, greeting, challenge }: LoginContext,
  clientPublic: Buffer,
): { client: Buffer; server: Buffer } {
  const transcript = createHash('sha256');
  for (const part of [
    Buffer.from(channelKind),
    keyingMaterial,
    greeting,
    challenge,
    clientPublic,
  ]) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(part.length);
    transcript.update(length).update(part);
  }
  const transcriptHash = transcript.digest();
  const sessionKey = createHash('sha256').update(key).digest();
  const proofBy = (role: string): Buffer =>
    createHmac('sha256', sessionKey)
      .update(`tardis login 1: ${role}`)
      .update(transcriptHash)
      .digest();
  return { client: proofBy('client'), server: proofBy('server') };
}
