export * from './codec.js';
export { Connection } from './connection.js';
export { Credit } from './credit.js';
export * from './messages.js';
export { RateLimit } from './rate-limit.js';
export * from './sockets.js';
