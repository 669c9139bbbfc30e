/** A local server in a process of its own, also where it would share that of its client. */
import fs from 'node:fs';
import path from 'node:path';

/** Returns the options of `tardis` for such a server. Its configuration file is written into `folder`. */
export function separateServer(folder: string): readonly string[] {
  const config = path.join(folder, 'separate-server.cfg');
  fs.writeFileSync(config, `[Tardis]\nPidFile = ${path.join(folder, 'separate-server.pid')}\n`);
  return ['--local-config', config];
}
