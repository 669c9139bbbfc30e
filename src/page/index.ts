/** Exports the parts of the page that need no browser, for tests. */
export * from './parts/calendar.js';
export * from './parts/paths.js';
export * from './parts/place.js';
export * from './parts/plot.js';
export * from './parts/preview.js';
export * from './parts/roots.js';
export * from './parts/row-window.js';
export * from './parts/selection.js';
export * from './parts/shown.js';
export * from './parts/text-diff.js';
export * from './parts/rows.js';
