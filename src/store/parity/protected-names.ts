/** Lists the packs and objects of a client, which parity protects. */
import type { Backend } from '../backends/backend.js';
import { isObjectName, packName, PARITY_PREFIX } from '../layout/layout.js';
import { listPackFiles } from '../packs/pack-label.js';

/** Number of directories that objects are spread over. */
const OBJECT_DIRECTORIES = 256;

/** Returns the names of all objects. */
export async function storedObjects(backend: Backend): Promise<string[]> {
  const names: string[] = [];
  for (let byte = 0; byte < OBJECT_DIRECTORIES; byte += 1) {
    const below = await backend.list(`${byte.toString(16).padStart(2, '0')}/`);
    for (const name of below) if (isObjectName(name)) names.push(name);
  }
  return names;
}

/** Returns the names of all packs. Their labels are not read, since these may be the bytes that the disk has lost. */
export async function storedPacks(backend: Backend): Promise<string[]> {
  return (await listPackFiles(backend)).map(packName);
}

/** Returns the names of all packs and objects. */
export async function protectable(backend: Backend): Promise<string[]> {
  return [...(await storedPacks(backend)), ...(await storedObjects(backend))];
}

/** Returns the parity files whose pack or object does not exist. */
export async function strayParity(backend: Backend): Promise<string[]> {
  const stray: string[] = [];
  for (const file of await backend.list(PARITY_PREFIX)) {
    const name = file.slice(PARITY_PREFIX.length);
    if (isObjectName(name) && (await backend.size(name)) === undefined) stray.push(file);
  }
  return stray;
}
