export {
  type Act,
  type Commands,
  type Offer,
  type OnLine,
  type PurgeRules,
} from './acts.js';
export type { OtherClients, ShownClient } from './clients.js';
export { Entrance, requireOwn } from './guard.js';
export { Job, Jobs } from './jobs.js';
export { HOOK_KEYS, SETUP_KEYS, type SetupAnswers } from './schemas.js';
export { type LocalPlace, type LocalServer, type NetworkPlace, serveLocally } from './server.js';
