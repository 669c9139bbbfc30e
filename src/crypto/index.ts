export { KeyFile, moveOn, wholeRecord, withNewKeys } from './key-file.js';
export { keyFileText, KeyFileText, MAX_KEY_FILE_BYTES } from './key-file-format.js';
export * from './key-record.js';
export { type Keyring, keyringOf } from './keyring.js';
export { NameSealer } from './name-sealer.js';
export {
  ownSetSeal,
  SealSum,
  splitSkipSeal,
  type OpenedListing,
  TreeSealer,
} from './tree-sealer.js';
export { encryptingKeyset } from './key-record.js';
export { type Challenge, ClientLogin, type LoginContext, ServerLogin } from './login.js';
export {
  compareKeys,
  rememberKeyRecord,
  type KeyMemoryOptions,
  noteKeys,
  type Remembered,
  SealMemory,
} from './seal-memory.js';
export * from './srp.js';
export { openConfig, sealConfig } from './sealed-config.js';
export { passwordStrength } from './strength.js';
export {
  normalPassword,
  STRETCH,
  stretchBytes,
  stretchOf,
  type StretchedPassword,
  stretchPassword,
  type StretchParameters,
} from './stretch.js';
export { stretchInChildren } from './scrypt.js';
