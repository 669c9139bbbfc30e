export * from './reconnecting.js';
export * from './codec.js';
export { type Channel, Connection } from './connection.js';
export { DEFAULT_GATE, Gate, type GateLimits } from './gate.js';
export { InnerListener } from './inner-listener.js';
export { innerSockets } from './inner-sockets.js';
export { DEFAULT_LINK, type LinkOptions, linkWith } from './link-times.js';
export type { FieldKind, Fields, MessageRow, PlainKind } from './message-row.js';
export type { MessageSocket } from './message-socket.js';
export * from './messages.js';
export { NOTHING_SETTLED } from './reading-messages.js';
export { openedDigest } from './codec.js';
export * from './questions.js';
export * from './reading-messages.js';
export * from './report-messages.js';
export type { ClientLine } from './https-connection.js';
export { channelOf, connect, connectAny, connectHttps, listen, servePiped } from './open.js';
export { givenError, lastLines, sshError, strayOutput } from './program-errors.js';
export { RateLimit } from './rate-limit.js';
export { WebMessageSocket } from './web-message-socket.js';
export type {
  Certificate,
  Listener,
  ListenOptions,
  ListenPlace,
  PipedPlace,
  TlsOptions,
} from './sockets.js';
