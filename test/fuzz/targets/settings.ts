/** Configuration files of each kind: sections, keys, values. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { allRows, parseIni, resolveSettings, type Tool } from '../../../src/config/index.js';
import { attempt, magnitude, type Target } from '../engine/target.js';
import { scratchFolder } from '../samples/scratch.js';

const CODES = ['CONFIG_INVALID', 'CAPABILITY_MISSING', 'USAGE'] as const;
const file = path.join(scratchFolder(), 'tardis.cfg');
/** Reads no defaults file of this machine. */
const environment = { TARDIS_DEFAULTS: '' };
const MACHINE = { processors: 4, memoryBytes: 1 << 30 };

function resolve(tool: Tool, option: string): string {
  const commandLine = new Map([[option, [file]]]);
  const { sources: found } = resolveSettings(tool, { commandLine, environment, machine: MACHINE });
  return magnitude(found.size);
}

function asDefaults(): string {
  const given = { TARDIS_DEFAULTS: file };
  const commandLine = new Map<string, string[]>();
  const { sources: found } = resolveSettings('tardis', {
    commandLine,
    environment: given,
    machine: MACHINE,
  });
  return magnitude(found.size);
}

const KEYS = allRows().flatMap(([, { clientKey, serverKey, variable }]) =>
  [clientKey, serverKey, variable].filter((key) => key !== undefined),
);

export const target: Target = {
  about: 'configuration files: refused with file and line, or settings',
  seeds: () => [
    ...['client', 'server'].map((kind) =>
      Buffer.from(
        `[Tardis]\n${allRows()
          .flatMap(([, row]) => (kind === 'client' ? row.clientKey : row.serverKey) ?? [])
          .map((key) => `${key} = 1`)
          .join('\n')}`,
      ),
    ),
    ...KEYS.map((key) => Buffer.from(`[Tardis]\n${key} = yes\n`)),
    Buffer.from(
      '[Pipeline]\nWorkers: 2\n\n[Tardis]\n; comment\nPort = 7420\n  7\n\n[home]\nserver=x\n',
    ),
    Buffer.from('[Tardis]\nTARDIS_PORT = 1\nBandwidthLimit = 08:00-18:00=500K,*=none\n'),
  ],
  fuzz: (data) => {
    writeFileSync(file, data);
    const words = [
      attempt(CODES, () => magnitude(parseIni(data.toString('latin1'), 'file').length)),
      attempt(CODES, () => resolve('tardis', 'configFiles')),
      attempt(CODES, () => resolve('tardisd', 'daemonConfig')),
      attempt(CODES, asDefaults),
    ];
    return words.join(' / ');
  },
  tokens: [...KEYS, '\n[', ']\n', ' = ', ': ', '\n  ', '"', "'", '\\', '1G', '1.5', '08:00-18:00='],
  maxBytes: 32 << 10,
};
