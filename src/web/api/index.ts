export { AtOnce, type AtOnceLimits } from './at-once.js';
export { OpenContents, type ByteRange } from './content/open-contents.js';
export { etagOf, sendContent, type SentContent } from './content/send-content.js';
export { dispositionOf, typeOf } from './content/content-headers.js';
export type { Door, Lease, Visitor } from './door.js';
export { entryJson, pathJson, setJson, textAndBytes } from './entry-json.js';
export { cachingOf, entryAt } from './handlers/entry-handlers.js';
export { HistoryPool, POOL_LIMITS, type PoolLimits } from './history-pool.js';
export { invalidRequest, PROBLEM_TYPE, problemOf } from './problem.js';
export { openApi, routesText } from './open-api.js';
export { parseQuery, pathIn } from './raw-query.js';
export { addedRoute, type AddedRoute, registerApi } from './register.js';
export type { Asked, Handler, RouteRow } from './route-row.js';
export { BASE, type RouteName, ROUTES } from './routes.js';
export * as schemas from './schemas.js';
export type * from './schemas.js';
export { setOf } from './set-of.js';
export { whenClosed } from './when-closed.js';
export {
  newWebApp,
  WEB_LIMITS,
  type WebApp,
  type WebAppOptions,
  type WebLimits,
} from './web-app.js';
