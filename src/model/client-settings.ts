/**
 * Settings stored with a client, and the configuration that a client reports of itself. The checks here are
 * about form, not about meaning.
 */

export interface ClientSetting {
  readonly key: string;
  readonly value: string;
}

/** Allows keys longer than any that exists. */
const KEY = /^[A-Za-z]{1,40}$/;
const MAX_VALUE_BYTES = 4096;
/** Largest client configuration that a server accepts: less than a record may hold, since new seals make it longer. */
export const MAX_TOLD_CONFIG_BYTES: number = 40 << 10;
/** Largest client configuration that a store may contain. */
const MAX_CLIENT_CONFIG_BYTES = 64 << 10;

export function isSettingKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

export function isSettingValue(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_VALUE_BYTES;
}

/** True if an untrusted value is a setting. */
export function isClientSetting(value: unknown): value is ClientSetting {
  if (typeof value !== 'object' || value === null) return false;
  const { key, value: text } = value as Partial<ClientSetting>;
  return isSettingKey(key) && isSettingValue(text);
}

/**
 * True if an untrusted value has the form of a client configuration. Its text is interpreted only by the
 * program that displays it.
 */
export function isClientConfig(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_CLIENT_CONFIG_BYTES;
}
