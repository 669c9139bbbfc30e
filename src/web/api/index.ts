export { addressOf } from './address-of.js';
export { cutOff } from './answer-end.js';
export { AtOnce, type AtOnceLimits } from './at-once.js';
export { OpenContents } from './content/open-contents.js';
export { etagOf, sendContent, sendStream } from './content/send-content.js';
export { dispositionOf, typeOf } from './content/content-headers.js';
export { DELETED_ROUTE } from './deleted.js';
export { searchPage } from './search.js';
export { DirectoryOrders, type Sorted, type SortKey } from './directory-order.js';
export {
  type AboutClient,
  type Door,
  type Lease,
  type ListedClient,
  mayBeKept,
  requireRight,
  tokenIn,
  type Visitor,
} from './door.js';
export { entryJson, pathJson, type SetSpan, setsShowing } from './entry-json.js';
export { entryAt } from './handlers/entry-handlers.js';
export { HistoryPool } from './history-pool.js';
export { percentDecoded, percentEncoder } from './percent.js';
export { invalidRequest } from './problem.js';
export { changedRules, checkedRules } from './handlers/report-handlers.js';
export { PurgeRules } from './schemas.js';
export { openApi, routesText } from './open-api.js';
export { encodedPathIn, pathIn } from './raw-query.js';
export { addedRoute, type AddedRoute, registerApi } from './register.js';
export type { ApiRequest, RouteRow } from './route-row.js';
export { ROUTES } from './routes.js';
export * as schemas from './schemas.js';
export type * from './schemas.js';
export {
  type BrowserSessions,
  hostOf,
  type IncomingRequest,
  PAGE_HEADER,
  requireOwnPage,
  SIGN_IN_ROWS,
  signInRoutes,
  cookieAttributes,
} from './sign-in.js';
export { addPageFiles, PAGE_GUARDS, PAGE_URLS, pageFiles } from './page-files.js';
export { setOf } from './set-of.js';
export { trusting } from './trusted-proxies.js';
export { inPlace, keepPlace } from './turns.js';
export { whenClosed } from './when-closed.js';
export { withLease } from './with-lease.js';
export { newWebApp, type WebApp, type WebAppOptions, type WebLimits } from './web-app.js';
