/**
 * Profiles: defaults of the tuning rows for a kind of machine. They override the built-in defaults, and
 * everything that the user gives overrides them. A row that a profile does not name keeps its built-in
 * default.
 */
import { type Machine, thisMachine } from '../system/index.js';
import type { Found, Layer, Rows } from './layers.js';
import type { SettingName, Settings } from './settings.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

/**
 * Defaults for 512 MB of memory and a slow processor: a backup through a local server, in one process, takes 110 MB
 * (measured with 20,000 files). The main thread, and one thread without JavaScript, do the work of the workers and of the
 * storage thread, which saves the memory of V8 isolates. Parcels are small. bin/launch.sh adds V8 flags.
 */
const PI: Readonly<Partial<Record<SettingName, number>>> = {
  workers: 0,
  budgetBytes: 4 * MIB,
  linkBudgetBytes: 4 * MIB,
  budgetItems: 4096,
  parcelBytes: 512 * KIB,
  frameBytes: 512 * KIB,
  changeLevel: 5,
  changeFrameBytes: MIB,
  changeBytes: 16 * MIB,
  storageThreads: 0,
  catalogCacheBytes: 2 * MIB,
  checkpointBytes: 32 * MIB,
  passwordMemoryBytes: 32 * MIB,
};

/** Maximum memory of a machine that counts as a Pi. With a single processor the limit is twice as high. */
const PI_MEMORY_BYTES = 1024 * MIB;

type Profile = 'pi' | 'desktop';

/** Returns the profile that fits a machine. */
export function profileFor({ processors, memoryBytes }: Machine): Profile {
  return memoryBytes <= PI_MEMORY_BYTES * (processors === 1 ? 2 : 1) ? 'pi' : 'desktop';
}

/**
 * Returns the defaults of the chosen profile, as a layer that overrides `builtIn`. The defaults of `desktop` are the
 * built-in ones. `machine` is called only for `auto`.
 */
export function profileLayer(
  rows: Rows,
  builtIn: Layer,
  chosen: Found,
  machine: () => Machine,
): Layer {
  const layer = new Map<string, Found>();
  const { profile, where } = chosenProfile(chosen, machine);
  for (const [name] of rows) {
    const ofPi = PI[name as SettingName];
    const value = profile === 'pi' ? ofPi : builtIn.get(name)?.value;
    if (ofPi === undefined || value === undefined) continue;
    layer.set(name, { value, source: `profile ${profile}`, where });
  }
  return layer;
}

function chosenProfile(chosen: Found, machine: () => Machine): { profile: Profile; where: string } {
  const { value, where } = chosen;
  if (value === 'pi' || value === 'desktop') return { profile: value, where };
  const found = machine();
  const memory = `${Math.round(found.memoryBytes / MIB)}M`;
  return {
    profile: profileFor(found),
    where: `chosen for ${found.processors} processors and ${memory} of memory`,
  };
}

/** Maximum number of processors at which all of them are busy during a local backup. */
const FEW_PROCESSORS = 2;

/**
 * Returns the number of storage threads of a server. A separate thread prevents a slow disk from stalling other sessions,
 * and writes while the next messages arrive. With only one session and no idle processor, a thread costs more than it
 * saves (measured, 66,857 entries on two processors): 49 MB and 1.12 of the CPU of an unchanged run, for 0.97 of the time of
 * a first backup.
 */
export function storageThreadsOf({
  single,
  storageThreads,
}: Pick<Settings<'tardisd'>, 'single' | 'storageThreads'>): number {
  return storageThreads ?? (single && thisMachine().processors <= FEW_PROCESSORS ? 0 : 1);
}
