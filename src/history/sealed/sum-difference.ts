/** Returns the difference between a sum of seals and an earlier one, as a number of 256 bits. */
export function differenceOf(sum: Buffer, before: Buffer): Buffer {
  const difference = Buffer.alloc(sum.length);
  let borrow = 0;
  for (let at = 0; at < sum.length; at += 1) {
    const value = sum[at]! - before[at]! - borrow;
    borrow = value < 0 ? 1 : 0;
    difference[at] = value & 0xff;
  }
  return difference;
}
