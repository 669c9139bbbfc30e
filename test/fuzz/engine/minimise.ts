/**
 * Makes a failing input small: removes pieces, then replaces bytes by plain ones, as long as it fails in the same way.
 */

const PLAIN = 0x30;
/** Longest input for which a search over single bytes is worthwhile. */
const SHORT_BYTES = 256;

/**
 * Returns a smaller failing input. `fails` returns true if an input still fails in the same way; it is called
 * `mostTries` times at most.
 */
export async function minimise(
  input: Buffer,
  mostTries: number,
  fails: (input: Buffer) => Promise<boolean>,
): Promise<Buffer> {
  let best = input;
  const budget = { tries: mostTries };
  const take = async (candidate: Buffer): Promise<boolean> => {
    if (budget.tries <= 0) return false;
    budget.tries -= 1;
    if (!(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let pieceBytes = best.length >> 1; pieceBytes >= 1; pieceBytes >>= 1) {
    for (let at = 0; at < best.length && budget.tries > 0; ) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + pieceBytes)]);
      if (!(await take(without))) at += pieceBytes;
    }
  }
  if (best.length > SHORT_BYTES) return best;
  for (let at = 0; at < best.length && budget.tries > 0; at += 1) {
    if (best[at] === PLAIN || best[at] === 0) continue;
    for (const plain of [0, PLAIN]) {
      const candidate = Buffer.from(best);
      candidate[at] = plain;
      if (await take(candidate)) break;
    }
  }
  return best;
}
