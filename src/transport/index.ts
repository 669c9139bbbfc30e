export * from './codec.js';
export { Connection } from './connection.js';
export { Credit } from './credit.js';
export * from './messages.js';
export * from './sockets.js';
