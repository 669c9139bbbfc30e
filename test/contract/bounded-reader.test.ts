/** A view of a store that ends at a commit: packs within it are read as usual, and later data does not exist. */
import { boundedBackend } from '../../src/maintenance/check/bounded-backend.js';
import { packName, packNumber } from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { filled, objectReaderSuite } from './object-reader.suite.js';

objectReaderSuite(async (_t, packs) => {
  const [last = ''] = [...packs.keys()].sort().slice(-1);
  const pack = packNumber(last)!;
  const later = [1, 2, 3].map((by) => [packName(pack + by), Buffer.from('later')] as const);
  const longer = Buffer.concat([packs.get(last)!, Buffer.from('later data')]);
  const backend = filled(new MemoryBackend(), [...new Map(packs).set(last, longer), ...later]);
  return boundedBackend(backend, {
    commit: 1,
    pack,
    position: packs.get(last)!.length,
    checksum: 0,
  });
});
