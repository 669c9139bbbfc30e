export { ARCHIVE_ROW, archiveRoute, type ArchiveRouteOptions } from './archive-route.js';
export { archiveSelection } from './archive-selection.js';
export {
  type ArchiveFormatName,
  ArchiveStream,
  type ArchiveStreamOptions,
} from './archive-stream.js';
export { Selections, selectionRoute } from './selections.js';
export { WaitShare } from './wait-share.js';
export { PassedMemory } from './passed-memory.js';
