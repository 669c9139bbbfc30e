/** Parts and settings of the file system of a mount. */
import type { RecordDecoder } from '../contents/index.js';
import type { History } from '../history/index.js';
import type { DiskSpace, System } from '../system/index.js';
import type { AttributeUse } from './attribute-use.js';
import type { GreetingOptions } from './greeting.js';
import type { Kernel } from './fuse-connection.js';

export interface RequestHandlerOptions extends GreetingOptions {
  readonly system: System;
  readonly history: History;
  readonly decoder: RecordDecoder;
  readonly kernel: Kernel;
  /** Examines the entries of new sets before they are shown. */
  readonly attributeUse: AttributeUse;
  /** Name of the link to the newest complete set. */
  readonly current: string;
  /** The only user to whom `versions` is shown; undefined if it is shown to all who have access to the mount. */
  readonly versionsFor?: number | undefined;
  /** Writes a line to the log. */
  readonly log: (line: string) => void;
  /** Returns the size of the file system that has the store. */
  readonly space: () => DiskSpace;
  /** Called after a request failed because of the store. */
  readonly onFailure?: () => void;
}
