export * from './archive-route.js';
export { Selections, selectionRoute } from './selections.js';
export { WaitShare } from './wait-share.js';
export { PassedMemory } from './archive-stream.js';
