/** Entry of the storage thread: hands messages to storage sessions, and their answers back. */
import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '../../errors/index.js';
import { nodeSystem } from '../../system/index.js';
import type { FromStorage, StorageThreadData, ToStorage } from './storage-host.js';
import { measureSpace } from './measure-space.js';
import { type AnySession, openSession } from './open-session.js';

const port = parentPort!;
const system = nodeSystem((workerData as StorageThreadData).umask);
const sessions = new Map<number, AnySession>();

function send(message: FromStorage): void {
  port.postMessage(message);
}

async function open(message: Extract<ToStorage, { op: 'open' }>): Promise<void> {
  const { session } = message;
  try {
    const opened = await openSession(
      system,
      message.request,
      (answer, processedBytes) => send({ op: 'answer', session, answer, processedBytes }),
      (error) => {
        sessions.delete(session); // it has let go of all it had
        send({ op: 'failed', session, error: toWire(error) });
      },
    );
    sessions.set(session, opened);
    send({ op: 'opened', session });
  } catch (error) {
    send({ op: 'opened', session, error: toWire(error) });
  }
}

async function finish(session: number, op: 'end' | 'abandon'): Promise<void> {
  const ending = sessions.get(session);
  sessions.delete(session);
  try {
    if (op === 'end') await ending?.end();
    else await ending?.abandon();
    send({ op: 'ended', session });
  } catch (error) {
    send({ op: 'ended', session, error: toWire(error) });
  }
}

async function measure({
  question,
  directory,
  withEntries,
}: Extract<ToStorage, { op: 'measure' }>): Promise<void> {
  try {
    const taken = await measureSpace(system, directory, withEntries);
    send({ op: 'measured', question, taken });
  } catch (error) {
    send({ op: 'measured', question, taken: toWire(error) });
  }
}

port.on('message', (message: ToStorage) => {
  switch (message.op) {
    case 'open':
      void open(message);
      return;
    case 'message': {
      const { buffer, byteOffset, byteLength } = message.bytes;
      const bytes = Buffer.from(buffer, byteOffset, byteLength);
      sessions.get(message.session)?.post(message.name, bytes);
      return;
    }
    case 'end':
    case 'abandon':
      void finish(message.session, message.op);
      return;
    case 'measure':
      void measure(message);
  }
});
