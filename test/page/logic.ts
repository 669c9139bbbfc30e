/** Exports the parts of the page that need no browser. */
export * from '../../src/page/logic/calendar.js';
export * from '../../src/page/logic/paths.js';
export * from '../../src/page/logic/place.js';
export * from '../../src/page/logic/plot.js';
export * from '../../src/page/logic/preview.js';
export * from '../../src/page/logic/paths.js';
export * from '../../src/page/logic/row-window.js';
export * from '../../src/page/logic/selection.js';
export * from '../../src/page/logic/formats.js';
export * from '../../src/page/logic/text-diff.js';
export * from '../../src/page/logic/causes.js';
export * from '../../src/page/logic/texts.js';
export * from '../../src/page/logic/rows.js';
