/** Exports the parts of the page that need no browser, for tests. */
export * from './logic/calendar.js';
export * from './logic/paths.js';
export * from './logic/place.js';
export * from './logic/plot.js';
export * from './logic/preview.js';
export * from './logic/roots.js';
export * from './logic/row-window.js';
export * from './logic/selection.js';
export * from './logic/shown.js';
export * from './logic/text-diff.js';
export * from './logic/rows.js';
