export { KnownClient, shownKeyId } from './known-client.js';
