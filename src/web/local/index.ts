export type { Act, Commands, Offer, OnLine, PurgeRules } from './acts.js';
export { Entrance, PAGE_HEADER, requireOwn } from './guard.js';
export { Job, Jobs } from './jobs.js';
export { type LocalPlace, type LocalServer, type NetworkPlace, serveLocally } from './server.js';
