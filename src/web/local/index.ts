export { Entrance, PAGE_HEADER, requireOwn } from './guard.js';
export { type LocalServer, serveLocally } from './server.js';
