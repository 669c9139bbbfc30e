export {
  isListPrefix,
  isObjectKey,
  MAX_KEY_BYTES,
  type ObjectBody,
  type ObjectHead,
  type ObjectSource,
  type ObjectStore,
  type PutOptions,
} from './object-store.js';
