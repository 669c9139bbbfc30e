/** Settings of `tardis-web`, the user's own page. */
import type { SettingTable } from './row.js';

export const WEB_ROWS = {
  webPort: {
    type: 'int',
    min: 0,
    max: 65_535,
    default: 0,
    tools: ['tardis-web'],
    flags: '--web-port <n>',
    variable: 'TARDIS_WEB_PORT',
    help: 'port of the page on 127.0.0.1; 0 lets the system choose one',
    test: 'tardis-web listens on its port, and ends after a time without requests',
  },
  openBrowser: {
    type: 'bool',
    default: true,
    tools: ['tardis-web'],
    flags: '--browser',
    negatable: true,
    help: 'open the page in the browser (xdg-open); its address is printed in any case',
    test: 'tardis-web opens the browser by a file that only its user can read',
  },
  idleEnd: {
    type: 'seconds',
    min: 0,
    max: 31_536_000,
    default: 3600,
    tools: ['tardis-web'],
    flags: '--idle-end <seconds>',
    variable: 'TARDIS_WEB_IDLE_END',
    help: 'seconds without a request after which the program ends; 0: never',
    test: 'tardis-web listens on its port, and ends after a time without requests',
  },
} as const satisfies SettingTable;
