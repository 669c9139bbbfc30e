/** What a server says of the space of the account that owns the client. */
import { TardisError } from '../errors/index.js';

/** From here on a backup warns. */
const WARN_FROM_PERCENT = 90;

/** `quotaBytes` 0: there is no quota. */
export interface AccountSpace {
  readonly quotaBytes: number;
  readonly usedBytes: number;
}

/** Throws QUOTA_EXCEEDED when nothing may be added. */
export function requireSpace({ quotaBytes, usedBytes }: AccountSpace): void {
  if (quotaBytes === 0 || usedBytes < quotaBytes) return;
  throw new TardisError(
    'QUOTA_EXCEEDED',
    `the account has no space left, so nothing was sent: ${usedBytes} of ${quotaBytes} bytes are used`,
    { quotaBytes, usedBytes },
  );
}

/** What a user should hear of it. */
export function spaceDoubt({ quotaBytes, usedBytes }: AccountSpace): string | undefined {
  const percent = quotaBytes === 0 ? 0 : Math.floor((usedBytes / quotaBytes) * 100);
  if (percent < WARN_FROM_PERCENT) return undefined;
  return `the account uses ${percent} % of its space (${usedBytes} of ${quotaBytes} bytes)`;
}
