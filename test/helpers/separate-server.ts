/** A local server in a process of its own, also where it would share that of its client. */
import path from 'node:path';
import { BIN } from './commands.js';

/** The options of `tardis` for such a server. */
export const SEPARATE_SERVER: readonly string[] = ['--local-server-cmd', path.join(BIN, 'tardisd')];
