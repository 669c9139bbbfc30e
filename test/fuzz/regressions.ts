/** Inputs that broke something once, by target. A run begins with them. */

interface Regression {
  /** Description of the fault. */
  readonly what: string;
  readonly input: Buffer;
}

export const REGRESSIONS: Readonly<Record<string, readonly Regression[]>> = {
  settings: [
    {
      what: 'a line of blanks without a sign took quadratic time',
      input: Buffer.from(`[Tardis]\na${' '.repeat(30_000)}b`),
    },
  ],
  catalogs: [
    {
      what: 'a file format of the future was an internal error',
      input: Buffer.from(
        'U1FMaXRlIGZvcm1hdCAzABAAAAAAQCAgAAAAMAAAAAAAAAAAAAAAAAAAAAAAAAAw',
        'base64',
      ),
    },
  ],
  'catalog-values': [
    {
      what: 'a text in the place of a path of bytes was an internal error',
      input: Buffer.from([0x42, 0, 0]),
    },
    {
      what: 'a directory of a huge number made figures and differences run through all numbers before it',
      input: Buffer.from('HXp6enp6enp6enp6AgB7fQ==', 'base64'),
    },
  ],
};

/** Returns the inputs for a target, as base64. */
export function regressionsOf(name: string): string[] {
  return (REGRESSIONS[name] ?? []).map(({ input }) => input.toString('base64'));
}
