/**
 * Configuration of a run. The client reports it, and it is stored with the set. The checks here are only about form:
 * the program that shows the configuration interprets its texts.
 */
import {
  type Check,
  type Checked,
  isBytes,
  isText,
  listOf,
  mapOf,
  where,
  wordOf,
} from './checks.js';

/** Form of a setting's key. It allows keys longer than any existing key. */
const KEY = /^[A-Za-z]{1,40}$/;
const MAX_VALUE_BYTES = 4096;

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

/** Settings stored with a client. The checks here are about form, not about meaning. */
export const isSettingKey: Check<string> = where(isText, (key) => KEY.test(key));
export const isSettingValue: Check<string> = where(
  isText,
  (value) => Buffer.byteLength(value) <= MAX_VALUE_BYTES,
);
export const isClientSetting = mapOf({ key: isSettingKey, value: isSettingValue });
export type ClientSetting = Checked<typeof isClientSetting>;

const isRunSetting = mapOf({
  name: where(isText, (name) => NAME.test(name)),
  value: isSettingValue,
});
/** A setting of a run that does not have its default value. */
export type RunSetting = Checked<typeof isRunSetting>;

const isFact = where(isText, (text) => Buffer.byteLength(text) <= MAX_FACT_BYTES);
export const isPlainConfig = mapOf({
  form: wordOf('plain'),
  software: isFact,
  node: isFact,
  platform: isFact,
  arch: isFact,
  settings: where(listOf(isRunSetting), ({ length }) => length <= MAX_SETTINGS),
});
/** Configuration of a client that does not encrypt, or a sealed configuration after it was opened. */
export type PlainConfig = Checked<typeof isPlainConfig>;

const isSealedConfig = mapOf({
  form: wordOf('sealed'),
  bytes: where(isBytes, ({ length }) => length <= MAX_CLIENT_CONFIG_BYTES),
});
/** Configuration of a client that encrypts: a single sealed value. */
export type SealedConfig = Checked<typeof isSealedConfig>;

export type ClientConfig = PlainConfig | SealedConfig;

/** True if an untrusted value has the form of a client configuration. */
export function isClientConfig(value: unknown): value is ClientConfig {
  if (isSealedConfig(value)) return true;
  return isPlainConfig(value) && configBytes(value) <= MAX_CLIENT_CONFIG_BYTES;
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
