// Pace: quick
import fs from 'node:fs';
import path from 'node:path';
import { openRemoteAdmin } from '../../src/remote/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { pipedAddress } from '../helpers/ssh.js';
import { adminSuite, THERE } from './admin.suite.js';

/** The owner, whose server is its own process, has all rights. */
adminSuite(true, {
  prepare: async ({ home }) => {
    // As the server of the lab has it.
    fs.writeFileSync(path.join(home, 'tardisd.cfg'), '[Tardis]\nForgetAfter = 3600\n');
  },
  open: async ({ home, place }) => {
    const password = Buffer.from(PASSWORD);
    const credentials = { password, ask: async () => password };
    return openRemoteAdmin(nodeSystem(), {
      address: pipedAddress(place.store, ['--config', path.join(home, 'tardisd.cfg')]),
      client: 'me',
      credentials,
    });
  },
  read: THERE.read,
  isThroughServer: true,
});
