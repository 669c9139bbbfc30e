/** Checks the parity of a client by itself: what repairs others must be known to be whole. */
import { type Backend, isParityDamaged, parityName, protectable } from '../../store/index.js';
import type { Finding } from './findings.js';
import type { ReadPlan } from './read-plan.js';

/**
 * Reads the parity files in the plan, and yields a finding for each damaged one. Does not read the packs themselves.
 * Missing parity is no damage.
 */
export async function* damagedParity(
  backend: Backend,
  plan: ReadPlan,
  breathe: () => Promise<void> | undefined,
): AsyncGenerator<Finding> {
  for (const name of await protectable(backend)) {
    const object = parityName(name);
    if (!plan.includes(object, 0) || !(await isParityDamaged(backend, name, breathe))) continue;
    const bytes = (await backend.size(object)) ?? 0;
    yield { finding: 'record', object, position: 0, bytes, role: 'parity', why: WHY };
  }
}

const WHY = 'it is not as it was written';
