/** A history in a bucket from which other machines may delete packs while it is read. */
import type { ObjectReader } from '../../store/index.js';
import { systemCode } from '../../errors/index.js';
import type { History } from '../history.js';

/**
 * Returns the history with a reader of objects that runs `refresh` if an object is missing. The read still fails with
 * ENOENT; the caller locates the content again, by the new catalog. A failure of `refresh` is thrown instead.
 */
export function followingHistory(history: History, refresh: () => Promise<void>): History {
  const objects = (): ObjectReader => new FollowingReader(history.objects(), refresh);
  return new Proxy(history, {
    get: (target, name) =>
      name === 'objects' ? objects : (Reflect.get(target, name, target) as unknown),
  });
}

class FollowingReader implements ObjectReader {
  private readonly reader: ObjectReader;
  private readonly refresh: () => Promise<void>;

  constructor(reader: ObjectReader, refresh: () => Promise<void>) {
    this.reader = reader;
    this.refresh = refresh;
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    try {
      return await this.reader.read(name, position, target, bytes);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') await this.refresh();
      throw error;
    }
  }

  close(): void {
    this.reader.close();
  }
}
