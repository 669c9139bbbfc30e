export { Entrance, PAGE_HEADER, requireHost, requireOwn } from './guard.js';
export { type LocalServer, serveLocally } from './server.js';
