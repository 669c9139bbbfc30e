export * from './codec.js';
export { type Channel, Connection } from './connection.js';
export { Credit } from './credit.js';
export { DEFAULT_GATE, type GateLimits } from './gate.js';
export type { FieldKind, MessageRow, Right, Rights } from './message-row.js';
export * from './messages.js';
export * from './reading-messages.js';
export { RateLimit } from './rate-limit.js';
export * from './sockets.js';
