/** Settings stored with a client. The checks here are about form, not about meaning. */

export interface ClientSetting {
  readonly key: string;
  readonly value: string;
}

/** Form of a setting's key. It allows keys longer than any existing key. */
const KEY = /^[A-Za-z]{1,40}$/;
const MAX_VALUE_BYTES = 4096;

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
