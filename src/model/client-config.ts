/**
 * Configuration of a run. The client reports it, and it is stored with the set. The checks here are only about form:
 * the program that shows the configuration interprets its texts.
 */

/** Form of a setting's key. It allows keys longer than any existing key. */
const KEY = /^[A-Za-z]{1,40}$/;
const MAX_VALUE_BYTES = 4096;

/** A setting of a run that does not have its default value. */
export interface RunSetting {
  readonly name: string;
  readonly value: string;
}

/** Configuration of a client that does not encrypt, or a sealed configuration after it was opened. */
export interface PlainConfig {
  readonly form: 'plain';
  readonly software: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  readonly settings: readonly RunSetting[];
}

/** Configuration of a client that encrypts: a single sealed value. */
export interface SealedConfig {
  readonly form: 'sealed';
  readonly bytes: Buffer;
}

export type ClientConfig = PlainConfig | SealedConfig;

/**
 * Maximum size of a client configuration that a server accepts. It is less than the maximum in a store, since sealing a
 * configuration later makes it longer.
 */
export const MAX_REPORTED_CONFIG_BYTES: number = 40 << 10;
/** Maximum size of a client configuration in a store. */
const MAX_CLIENT_CONFIG_BYTES = 64 << 10;
const MAX_SETTINGS = 512;
const MAX_FACT_BYTES = 256;
/** Form of the names of settings. */
const NAME = /^[A-Za-z0-9]{1,64}$/;
/** Number of bytes by which the encoding of a setting in a list may be longer than its texts. */
const SETTING_HEAD_BYTES = 32;

/** True if an untrusted value has the form of a client configuration. */
export function isClientConfig(value: unknown): value is ClientConfig {
  if (typeof value !== 'object' || value === null) return false;
  const { form } = value as Partial<ClientConfig>;
  if (form === 'sealed') {
    const { bytes } = value as Partial<SealedConfig>;
    return Buffer.isBuffer(bytes) && bytes.length <= MAX_CLIENT_CONFIG_BYTES;
  }
  return isPlainConfig(value) && configBytes(value) <= MAX_CLIENT_CONFIG_BYTES;
}

/** True if an untrusted value has the form of a configuration that is not sealed. */
export function isPlainConfig(value: unknown): value is PlainConfig {
  if (typeof value !== 'object' || value === null) return false;
  const { form, software, node, platform, arch, settings } = value as Partial<PlainConfig>;
  return (
    form === 'plain' &&
    [software, node, platform, arch].every(isFact) &&
    Array.isArray(settings) &&
    settings.length <= MAX_SETTINGS &&
    settings.every(isRunSetting)
  );
}

/** Returns the approximate size of a configuration in bytes; the exact size if it is sealed. */
export function configBytes(config: ClientConfig): number {
  if (config.form === 'sealed') return config.bytes.length;
  const { software, node, platform, arch, settings } = config;
  const facts = [software, node, platform, arch].map((text) => Buffer.byteLength(text));
  const given = settings.map(
    ({ name, value }) => SETTING_HEAD_BYTES + Buffer.byteLength(name) + Buffer.byteLength(value),
  );
  return [...facts, ...given].reduce((sum, bytes) => sum + bytes, 0);
}

function isFact(value: unknown): boolean {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_FACT_BYTES;
}

function isRunSetting(value: unknown): value is RunSetting {
  if (typeof value !== 'object' || value === null) return false;
  const { name, value: text } = value as Partial<RunSetting>;
  return typeof name === 'string' && NAME.test(name) && isSettingValue(text);
}

export interface ClientSetting {
  readonly key: string;
  readonly value: string;
}

/** Settings stored with a client. The checks here are about form, not about meaning. */
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
