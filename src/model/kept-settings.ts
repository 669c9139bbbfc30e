/** Settings that are kept in a store, and what a client says of its own: the forms that are taken, whatever is meant. */

export interface KeptSetting {
  readonly key: string;
  readonly value: string;
}

/** Longer than any key there is. */
const KEY = /^[A-Za-z]{1,40}$/;
const MAX_VALUE_BYTES = 4096;
/** What a server takes; sealed by new keys it is longer, */
export const MAX_TOLD_CONFIG_BYTES: number = 40 << 10;
/** and what a store may hold. */
const MAX_CLIENT_CONFIG_BYTES = 64 << 10;

export function isSettingKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

export function isSettingValue(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_VALUE_BYTES;
}

/** Whether something of unknown origin is a setting. */
export function isKeptSetting(value: unknown): value is KeptSetting {
  if (typeof value !== 'object' || value === null) return false;
  const { key, value: text } = value as Partial<KeptSetting>;
  return isSettingKey(key) && isSettingValue(text);
}

/** Whether something of unknown origin may be what a client was set to; what it says is for who shows it. */
export function isClientConfig(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_CLIENT_CONFIG_BYTES;
}
