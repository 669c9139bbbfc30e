/** The archive for who takes nothing but what is proven: where another would tell a doubt, it stops. */
import { TardisError } from '../errors/index.js';
import type { Archive } from './archive.js';

/**
 * An archive that gives out no root, entry or listing that the seals of a client do not prove. Throws NOT_PROVEN, at once for
 * a client that does not encrypt: it has no seals.
 */
export function provenArchive(archive: Archive): Archive {
  if (archive.contentKeys === undefined) {
    throw new TardisError(
      'NOT_PROVEN',
      `the client "${archive.client}" does not encrypt, so it has no seals`,
    );
  }
  const proven = async <T>(answer: Promise<T>): Promise<T> => {
    const found = await answer;
    const [doubt] = archive.doubts;
    if (doubt !== undefined) throw new TardisError('NOT_PROVEN', doubt);
    return found;
  };
  return Object.create(archive, {
    roots: { value: (set: number) => proven(archive.roots(set)) },
    find: { value: (path: Buffer, set: number) => proven(archive.find(path, set)) },
    list: { value: (page: Parameters<Archive['list']>[0]) => proven(archive.list(page)) },
  }) as Archive;
}
