import type { StorageHandle } from '../storage/storage-options.js';

/** Returns a handle that drops messages after its end has begun. Further calls to end it wait for the first one. */
export function endingOnce(handle: StorageHandle): StorageHandle {
  let ending: Promise<void> | undefined;
  return {
    post: (name, bytes) => {
      if (ending === undefined) handle.post(name, bytes);
    },
    park: () => {
      if (ending === undefined) handle.park();
    },
    end: () => (ending ??= handle.end()),
    abandon: () => (ending ??= handle.abandon()),
  };
}
