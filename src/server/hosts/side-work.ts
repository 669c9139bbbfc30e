/** Work of a storage host on which nothing else depends: its failures are reported, and end no session. */
import type { TardisError } from '../../errors/index.js';

export type SideWork = 'copy of the catalog' | 'profile of the session';

/** Called when side work has failed. */
export type SideWorkFailed = (client: string, error: TardisError, what: SideWork) => void;

export const NOT_REPORTED: SideWorkFailed = () => undefined;
