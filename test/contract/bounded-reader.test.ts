/** A view of a store that ends at a commit: packs within it are read as usual, and later data does not exist. */
import { boundedBackend } from '../../src/maintenance/check/bounded-backend.js';
import { packName, packNumber } from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { objectReaderSuite } from './object-reader.suite.js';

objectReaderSuite(async (_t, packs) => {
  const backend = new MemoryBackend();
  const add = (name: string, bytes: Buffer): void => {
    const writer = backend.create(name);
    writer.append(bytes);
    writer.close();
  };
  const [last = ''] = [...packs.keys()].sort().slice(-1);
  const end = packs.get(last)!.length;
  for (const [name, bytes] of packs) {
    add(name, name === last ? Buffer.concat([bytes, Buffer.from('later data')]) : bytes);
  }
  const pack = packNumber(last)!;
  for (const later of [1, 2, 3]) {
    add(packName(pack + later), Buffer.from('a later pack'));
  }
  return boundedBackend(backend, { commit: 1, pack, position: end, checksum: 0 });
});
