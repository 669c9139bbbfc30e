export {
  type ClientPlace,
  type IdentityOptions,
  KnownClient,
  shownKeyId,
} from './known-client.js';
