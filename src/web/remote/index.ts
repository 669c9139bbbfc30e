export { PAGE_COOKIE, pageRoutes } from './page.js';
export { registerRemoteApi } from './remote-api.js';
export { REMOTE_ROUTES } from './routes.js';
export { Sessions, SESSION_LIMITS } from './sessions.js';
export type { ReachedPlace } from './reach.js';
export { ServerDoor } from './server-door.js';
export * from './store-door.js';
