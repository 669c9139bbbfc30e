/** Restores that a power cut interrupts. A second run of the command must finish them. */
import fs from 'node:fs';
import path from 'node:path';
import { nodeSystem, type System } from '../../src/system/index.js';
import type { Scenario } from './crash-runs.js';
import { firstBackup } from './crash-scenarios.js';
import { inlineSystem, restoreInline } from './inline.js';
import { differences, look, type Snapshot } from './tree.js';
import { written } from './scratch.js';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** Returns a system with another boot id, as after a reboot. */
function startedAnew(home: string): System {
  const { files } = nodeSystem();
  const other = written(home, 'boot id', '00000000-0000-0000-0000-000000000000\n');
  const open: typeof files.open = (file, how) =>
    files.open(file === BOOT_ID_FILE ? other : file, how);
  return inlineSystem({ files: { ...files, open } });
}

export const RESTORE: Scenario<Snapshot> = {
  name: 'a restore',
  states: 800,
  thoroughEvery: 1,
  traced: 'output',
  prepare: firstBackup,
  work: async (system, { place, source, output }) => {
    const failures = await restoreInline(system, place, { paths: [source], output });
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
  },
  truth: async ({ source }) => look(source),
  check: async ({ ground, answered }, truth) => {
    const { place, source, output } = ground;
    const restored = path.join(output, 'tree');
    if (answered.isOver) return differences(truth, look(restored));
    const system = startedAnew(ground.home);
    const failures = await restoreInline(system, place, { paths: [source], output });
    const wrong = failures.map((failure) => JSON.stringify(failure));
    wrong.push(...differences(truth, look(restored)));
    const left = fs.readdirSync(output).filter((name) => name !== 'tree');
    if (left.length > 0) wrong.push(`left behind: ${left.join(', ')}`);
    return wrong;
  },
};
