/** The own door of a user, `tardis-web`, for a history that a test has opened. */
import type { ExecutionContext } from 'ava';
import { RecordDecoder } from '../../src/contents/index.js';
import type { History } from '../../src/history/index.js';
import { Jobs, type LocalServer, serveLocally } from '../../src/web/local/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import { inlineSystem } from './inline.js';

interface LocalDoor {
  readonly server: LocalServer;
  /** Address of the interface. */
  readonly base: string;
  /** Headers of a program that the user has started. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Serves the history on a free port, and closes it at the end of the test. */
export async function serveHere(
  t: ExecutionContext,
  history: History,
  more: Partial<Parameters<typeof serveLocally>[0]> = {},
): Promise<LocalDoor> {
  const system = inlineSystem();
  const server = await serveLocally({
    system,
    history,
    decoder: new RecordDecoder(system),
    jobs: new Jobs(),
    openJobs: async () => new InlineJobs(system),
    workers: 1,
    place: { port: 0, label: 'test' },
    idleMs: 0,
    readPage: () => Buffer.alloc(0),
    clients: async () => [],
    warn: () => undefined,
    ...more,
  });
  t.teardown(async () => {
    await server.close();
    history.close();
  });
  const headers = {
    authorization: `Bearer ${server.programKey}`,
    'x-tardis-page': '1',
    'content-type': 'application/json',
  };
  return { server, base: `http://127.0.0.1:${server.port}/api/v1`, headers };
}
