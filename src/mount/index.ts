export { attributeBytes } from './attributes.js';
export { AttributeUse } from './attribute-use.js';
export { DeltaIndexes } from './delta-indexes.js';
export { endAfter, plainPart } from './directory-parts.js';
export { DirectoriesAhead } from './directories-ahead.js';
export { DirectoryTable } from './directory-table.js';
export { fetchPages } from './fetched-pages.js';
export { DirectoryTable as DirectoryNumbers } from './directory-table.js';
export { FilesAhead, type FileTree } from './files-ahead.js';
export { FileSystem } from './file-system.js';
export { FuseKernel, type Kernel } from './kernel.js';
export { LastingHistory } from './lasting-history.js';
export { LoneContents } from './lone-contents.js';
export { mountAt, type Mounted } from './mounting.js';
export { inodeOf, inodeOfDirectory } from './inodes.js';
export { nodeHigh, nodeLow, placeOf as placeOfNode } from './node-ids.js';
export { type ContentMemory, OpenContent } from './open-content.js';
export { packPage } from './packing.js';
export { type ListedDirectory, PackedListings } from './packed-listings.js';
export { type LoadedPage, PAGE_ENTRIES as MOUNT_PAGE_ENTRIES } from './page-cache.js';
export { MAX_READY_BYTES, ReadyFiles } from './ready-files.js';
export { type ListedTree, ReadyPages } from './ready-pages.js';
export { SetListings } from './set-listings.js';
export { PageCache } from './page-cache.js';
export { PageStarts } from './page-starts.js';
export { isKnownPath, namesIn, rootAt, versionsAt } from './path-versions.js';
export { Errno, Op } from './protocol.js';
export { entriesAround, named, type RootNode, rootsOf } from './roots.js';
export {
  BY_DATE,
  CURRENT,
  dayOf,
  namedSets,
  type ShownSet,
  versionName,
  VERSIONS,
} from './shown-names.js';
export { SetTree } from './set-tree.js';
export { Units } from './units.js';
export { virtualDirectory } from './virtual.js';
export { WalkAhead } from './walk-ahead.js';
export { VersionsTree } from './versions-tree.js';
