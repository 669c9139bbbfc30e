/**
 * Random bytes for names and identifiers. Keys and nonces never use this interface: they take the operating
 * system's generator directly, so that no injected source can weaken them.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  bytes(count: number): Buffer;
}

export const systemRandom: Random = Object.freeze({ bytes: (count: number) => randomBytes(count) });
