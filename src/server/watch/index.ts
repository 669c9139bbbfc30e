export { type EndpointAddress, MetricsEndpoint } from './endpoint.js';
export { EPISODES_FILE } from './episodes.js';
export { metricsText } from './metrics.js';
export { type Gauge, openMetrics } from './open-metrics.js';
export { type NoticeSettings } from './notices.js';
export { type SessionOutcome, Watch, type Watched, type WatchPlan } from './watch.js';
