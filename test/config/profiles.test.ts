/** Profiles: defaults of tuning settings for a kind of machine. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { explain, profileFor, resolveSettings, rowsOf, type Tool } from '../../src/config/index.js';
import type { Machine } from '../../src/system/index.js';
import { scratch, written } from '../helpers/scratch.js';

const GIB = 2 ** 30;
const SMALL: Machine = { processors: 1, memoryBytes: GIB / 2 };
const LARGE: Machine = { processors: 8, memoryBytes: 16 * GIB };

function resolve<T extends Tool>(
  tool: T,
  options: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
  machine: Machine = LARGE,
) {
  const commandLine = new Map(Object.entries(options).map(([name, text]) => [name, [text]]));
  return resolveSettings(tool, {
    commandLine,
    environment: { TARDIS_DEFAULTS: '', ...environment },
    machine,
  });
}

test('a profile sets defaults for tuning, and given settings take precedence', (t) => {
  const file = written(scratch(t), 'tardis.cfg', '[Tardis]\nParcelSize = 1M\n');
  const resolved = resolve('tardis', { profile: 'pi', configFiles: file, budgetBytes: '6M' });
  t.like(resolved, { workers: 0, budgetBytes: 6 << 20, parcelBytes: 1 << 20 });
  const sourceOf = (name: string): string => resolved.sources.get(name)!.source;
  t.deepEqual(['workers', 'budgetBytes', 'parcelBytes', 'codec'].map(sourceOf), [
    'profile pi',
    'command line',
    'configuration file',
    'built-in',
  ]);
  const reported = explain('tardis', resolved).find(({ name }) => name === 'workers');
  t.like(reported, { shown: '0', source: 'profile pi', where: '--profile' });
});

test('the profile comes from option, key and variable, of client and server', (t) => {
  const file = written(scratch(t), 'tardis.cfg', '[Pipeline]\nTuningProfile = pi\n');
  const clientFile = path.join(scratch(t), 'client.cfg');
  fs.writeFileSync(clientFile, '[Tardis]\n[Pipeline]\nTuningProfile = pi\n');
  t.is(resolve('tardis', { configFiles: clientFile }).workers, 0);
  t.is(resolve('tardis', {}, { TARDIS_PROFILE: 'pi' }).workers, 0);
  t.is(resolve('regenerate', { profile: 'pi' }).workers, 0);
  for (const resolved of [
    resolve('tardisd', { daemonConfig: file }),
    resolve('tardisd', {}, { TARDIS_PROFILE: 'pi' }),
    resolve('tardisd', { profile: 'pi' }),
  ]) {
    t.is(resolved.storageThreads, 0);
    t.true(resolved.catalogCacheBytes < 4 << 20);
  }
});

test('auto takes the profile that fits processors and memory', (t) => {
  t.is(profileFor(SMALL), 'pi');
  t.is(profileFor({ processors: 4, memoryBytes: GIB }), 'pi');
  t.is(profileFor({ processors: 1, memoryBytes: 2 * GIB }), 'pi');
  t.is(profileFor({ processors: 4, memoryBytes: 2 * GIB }), 'desktop');
  t.is(profileFor(LARGE), 'desktop');
  const small = resolve('tardis', {}, {}, SMALL);
  t.is(small.workers, 0);
  t.regex(small.sources.get('workers')!.where, /1 processors and 512M of memory/);
  t.is(resolve('tardis', { profile: 'desktop' }, {}, SMALL).budgetBytes, 12 << 20);
  t.is(resolve('tardis', {}, {}, LARGE).sources.get('budgetBytes')!.source, 'profile desktop');
});

test('profiles keep to the bounds of the rows, and name no path or text', (t) => {
  for (const tool of ['tardis', 'tardisd'] as const) {
    const { sources: found } = resolve(tool, { profile: 'pi' });
    const ofProfile = rowsOf(tool).filter(([name]) => found.get(name)?.source === 'profile pi');
    t.true(ofProfile.length > 0);
    for (const [name, row] of ofProfile) {
      const value = found.get(name)!.value as number;
      t.true(row.isTuning === true, name);
      const [min, max] = row.range!;
      t.true(value >= min && value <= max, name);
    }
  }
});
