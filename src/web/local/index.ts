export { Entrance, PAGE_HEADER, requireHost, requireOwn } from './guard.js';
export { type LocalServer, type LocalServerOptions, serveLocally } from './server.js';
