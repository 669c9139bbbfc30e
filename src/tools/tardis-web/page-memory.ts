/** Remembers the page of a client on this machine: its name and port, its password, and a code for one more browser. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { normalPassword, SALT_BYTES, stretchOf, stretchPassword } from '../../crypto/index.js';
import { jsonFields } from '../../model/index.js';
import { TardisError } from '../../errors/index.js';
import {
  Credit,
  readState,
  stateName,
  statePath,
  type System,
  textBytes,
  unlinkIfThere,
  writeState,
} from '../../system/index.js';

const FOLDER = 'pages';
const LABEL_BYTES = 8;
const LABEL = /^t[0-9a-f]{16}$/;
const SECRET = /^[0-9a-f]{2,128}$/;
/** Memory for a guess at the password of a page. It is small, since a small machine may serve the page. */
const STRETCHED = stretchOf(32 << 20);
/** Characters of a code, without those that look alike; 12 of 32 are 60 bits. */
const CODE_CHARS = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const CODE_LENGTH = 12;
const CODE_MS = 10 * 60_000;
/** Name under which failures are counted; there is only one user. */
const NOBODY = '';

interface KeptPlace {
  readonly label: string;
  /** Port of the last start; 0 for none. */
  readonly port: number;
  /** Address of the last start; '' for none. */
  readonly address: string;
}

/** A secret as it is kept: stretched, with its salt. */
interface KeptSecret {
  readonly salt: string;
  readonly hash: string;
  /** Time from which it does not count any more; absent if it lasts. */
  readonly untilMs?: number;
}

export class PageMemory {
  private readonly name: string;
  /** Limits guesses. It is loaded at the first one, since the server's rooms are large. */
  private attempts: Promise<{ begin: Begin }> | undefined;
  /** Admits one check at a time, since each takes much memory. */
  private readonly checks = new Credit(1);

  /** `store` names the store or the server. */
  constructor(
    private readonly system: System,
    store: string,
    client: string,
  ) {
    this.name = stateName(`page ${store}`, client);
  }

  /** Returns the name and port of the page; a new name if none is remembered. */
  place(): KeptPlace {
    const { label, port, address } = jsonFields(readState(this.file('place')));
    if (typeof label !== 'string' || !LABEL.test(label)) {
      return { label: `t${randomBytes(LABEL_BYTES).toString('hex')}`, port: 0, address: '' };
    }
    const isPort = Number.isInteger(port) && Number(port) > 0 && Number(port) <= 0xffff;
    return {
      label,
      port: isPort ? Number(port) : 0,
      address: typeof address === 'string' ? address : '',
    };
  }

  /** Remembers the name and port. Throws MEMORY_NOT_WRITTEN. */
  keepPlace(place: KeptPlace): void {
    this.write('place', place);
  }

  /** Sets the password of the page. Throws PASSWORD_NEEDED for an empty one, MEMORY_NOT_WRITTEN. */
  async setPassword(password: Uint8Array): Promise<void> {
    this.write('password', await kept(normalPassword(password)));
  }

  /** Makes a code that signs one browser in, in place of the last one. Throws MEMORY_NOT_WRITTEN. */
  async makeCode(): Promise<string> {
    const code = Array.from(randomBytes(CODE_LENGTH), (byte) => CODE_CHARS[byte % 32]!).join('');
    const untilMs = this.system.clock.nowMs() + CODE_MS;
    this.write('code', { ...(await kept(textBytes(code))), untilMs });
    return code.replaceAll(/(.{4})(?=.)/g, '$1-');
  }

  /** True for the password of the page, and once for the code. Throws TOO_MANY_ATTEMPTS. */
  async isSecret(secret: string, address: string): Promise<boolean> {
    this.attempts ??= import('../../server/index.js').then(
      ({ Attempts, DEFAULT_ATTEMPTS }) => new Attempts(this.system.clock, DEFAULT_ATTEMPTS),
    );
    const attempt = await (await this.attempts).begin(NOBODY, address);
    try {
      const isRight = await this.checks.run(() => this.isRight(secret));
      if (isRight) attempt.succeeded();
      else attempt.failed();
      return isRight;
    } finally {
      attempt.dropped(); // does nothing after an outcome
    }
  }

  private async isRight(secret: string): Promise<boolean> {
    if (await this.is('password', normalPassword(textBytes(secret)))) return true;
    const typed = secret.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');
    if (typed.length !== CODE_LENGTH || !(await this.is('code', textBytes(typed)))) return false;
    return unlinkIfThere(this.system.files, this.file('code')); // false if it is gone already
  }

  private async is(what: 'password' | 'code', secret: Buffer): Promise<boolean> {
    const { salt, hash, untilMs = Infinity } = jsonFields(readState(this.file(what)));
    const isKept = [salt, hash].every((one) => typeof one === 'string' && SECRET.test(one));
    if (!isKept || typeof untilMs !== 'number' || this.system.clock.nowMs() >= untilMs)
      return false;
    const given = await kept(secret, Buffer.from(String(salt), 'hex'));
    const [one, other] = [Buffer.from(given.hash, 'hex'), Buffer.from(String(hash), 'hex')];
    return one.length === other.length && timingSafeEqual(one, other);
  }

  private write(what: 'place' | 'password' | 'code', value: object): void {
    const file = this.file(what);
    const code = writeState(file, `${JSON.stringify(value)}\n`);
    if (code !== undefined) throw new TardisError('MEMORY_NOT_WRITTEN', `${file}: ${code}`);
  }

  private file(what: string): string {
    return statePath(FOLDER, `${this.name}.${what}.json`);
  }
}

type Begin = (
  client: string,
  address: string,
) => Promise<Readonly<Record<'succeeded' | 'failed' | 'dropped', () => void>>>;

/** Returns a secret as it is kept. */
async function kept(
  secret: Uint8Array,
  salt: Buffer = randomBytes(SALT_BYTES),
): Promise<KeptSecret> {
  const { loginSecret } = await stretchPassword(secret, salt, STRETCHED);
  return { salt: salt.toString('hex'), hash: loginSecret.toString('hex') };
}
