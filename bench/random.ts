/**
 * Seeded random numbers: xoshiro128++ by Blackman and Vigna (public domain), with its 128 bits of state filled by
 * splitmix32. A pair of seed and stream selects an independent sequence. Each file of a tree has its own sequence, and
 * can be generated without the files before it. For benchmarks only, not for secrets.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, stream = 0) {
    // Two rounds keep (1, 2) and (2, 1) apart.
    let state = splitmix32(splitmix32(seed) ^ Math.imul(stream, 0x9e3779b1));
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      return splitmix32(state);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // The state must not be all zero.
  }

  /** Returns the next 32 random bits as a signed integer, since JavaScript's bit operations return that type. */
  bits(): number {
    const a = this.#a;
    const d = this.#d;
    const sum = (a + d) | 0;
    const result = (((sum << 7) | (sum >>> 25)) + a) | 0;
    const c = this.#c ^ a;
    const dd = d ^ this.#b;
    const t = this.#b << 9;
    this.#b ^= c;
    this.#a = a ^ dd;
    this.#c = c ^ t;
    this.#d = (dd << 11) | (dd >>> 21);
    return result;
  }

  /** Returns a number in [0, 1). */
  unit(): number {
    return (this.bits() >>> 0) / 0x1_0000_0000;
  }

  /** Returns an integer in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }

  /** Returns a normally distributed number (mean 0, deviation 1), by the Box-Muller method. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.unit())) * Math.cos(2 * Math.PI * this.unit());
  }
}

function splitmix32(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
