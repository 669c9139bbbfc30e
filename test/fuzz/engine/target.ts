/** A fuzz target: one reader of bytes that may come from an attacker, and the properties that must hold. */
import { isErrorCode, TardisError, type ErrorCode } from '../../../src/errors/index.js';
import type { seededRandom } from '../../support/seeded-random.js';

export type Random = ReturnType<typeof seededRandom>;

export interface Target {
  /** One line about the input, and about what must hold. */
  readonly about: string;
  /** Returns the inputs to begin with, made by the encoders themselves. */
  readonly seeds: (random: Random) => readonly Buffer[] | Promise<readonly Buffer[]>;
  /**
   * Reads an input; throws if a property does not hold. Returns a word for the kind of outcome. An input with a new
   * word is kept, like one that reaches new code.
   */
  readonly fuzz: (data: Buffer) => string | Promise<string>;
  /** Words of the format, which the mutator puts into inputs. */
  readonly tokens?: readonly (string | Buffer)[];
  /** Corrects checksums and lengths of a mutated input, so that it passes the first check. */
  readonly repair?: (data: Buffer, random: Random) => Buffer;
  /** Bytes after which an input is cut off; default 4 KiB. */
  readonly maxBytes?: number;
  /** Milliseconds of processor time that one input may take; default 1 s. */
  readonly maxCpuMs?: number;
  /** Bytes that one input may allocate in one piece, or add to the memory of the process; default 128 MiB. */
  readonly maxMemoryBytes?: number;
}

const DEFAULT_MAX_BYTES = 4096;
const DEFAULT_MAX_CPU_MS = 1000;
const DEFAULT_MAX_MEMORY_BYTES = 128 << 20;

export interface Limits {
  readonly maxBytes: number;
  readonly maxCpuMs: number;
  readonly maxMemoryBytes: number;
}

export function limitsOf(target: Target): Limits {
  return {
    maxBytes: target.maxBytes ?? DEFAULT_MAX_BYTES,
    maxCpuMs: target.maxCpuMs ?? DEFAULT_MAX_CPU_MS,
    maxMemoryBytes: target.maxMemoryBytes ?? DEFAULT_MAX_MEMORY_BYTES,
  };
}

/** Thrown if an input breaks a property. */
export class BrokenProperty extends Error {
  override name = 'BrokenProperty';
}

/** Throws BrokenProperty unless `condition` holds. */
export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BrokenProperty(what);
}

/**
 * Returns the code and the words of an error that a reader may throw, as an outcome. Rethrows any error that is not a
 * TardisError with one of these codes: it is a fault.
 */
export function refusal(error: unknown, codes: readonly ErrorCode[]): string {
  const isExpected =
    error instanceof TardisError && isErrorCode(error.code) && codes.includes(error.code);
  if (!isExpected) throw error;
  // Quoted parts of the input are replaced: they distinguish inputs, not outcomes.
  const words = error.message.replaceAll(/["[].*["\]]|[^a-z ]+/gs, '#').slice(0, MAX_WORD_CHARS);
  return `${error.code} ${words}`;
}

const MAX_WORD_CHARS = 60;

/** Runs `read`; returns its answer, or its refusal by one of `codes`. */
export function attempt(codes: readonly ErrorCode[], read: () => string): string {
  try {
    return read();
  } catch (error) {
    return refusal(error, codes);
  }
}

/** Returns the order of magnitude of a number, as an outcome. */
export function magnitude(count: number): string {
  return String(Math.ceil(Math.log2(count + 1)));
}
