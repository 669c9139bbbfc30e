/** Checks the space of the account that owns the client, as the server reports it. */
import { TardisError } from '../errors/index.js';

/** Percentage of the quota from which a backup prints a warning. */
const WARN_FROM_PERCENT = 90;

/** Quota and usage of an account; `quotaBytes` is 0 without a quota. */
interface AccountSpace {
  readonly quotaBytes: number;
  readonly usedBytes: number;
}

/** Throws QUOTA_EXCEEDED if the account has no space left. */
export function requireSpace({ quotaBytes, usedBytes }: AccountSpace): void {
  if (quotaBytes === 0 || usedBytes < quotaBytes) return;
  throw new TardisError(
    'QUOTA_EXCEEDED',
    `the account has no space left, so nothing was sent: ${usedBytes} of ${quotaBytes} bytes are used`,
    { quotaBytes, usedBytes },
  );
}

/** Returns a warning for the user if the account is nearly full; otherwise undefined. */
export function spaceDoubt({ quotaBytes, usedBytes }: AccountSpace): string | undefined {
  const percent = quotaBytes === 0 ? 0 : Math.floor((usedBytes / quotaBytes) * 100);
  if (percent < WARN_FROM_PERCENT) return undefined;
  return `the account uses ${percent} % of its space (${usedBytes} of ${quotaBytes} bytes)`;
}
