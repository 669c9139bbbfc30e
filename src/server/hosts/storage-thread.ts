/** Entry point of a storage thread: passes messages to storage sessions, and their answers back. */
import { toWire } from '../../errors/index.js';
import { guardClient } from '../../store/index.js';
import { bufferOf, ownMemory } from '../../model/index.js';
import { nodeSystem, replyTo, threadEnd } from '../../system/index.js';
import { standingOf } from '../storage/client-standing.js';
import { collectGarbageHere } from '../storage/gc-work.js';
import { SessionProfile } from '../session-profile.js';
import { measureSpace } from '../storage/measure-space.js';
import { openSession, type SessionRequest } from './open-session.js';
import type {
  FromStorage,
  StorageChannel,
  StorageRequest,
  StorageResult,
  ToStorage,
} from './storage-channel.js';
import type { StorageHandle } from '../storage/storage-options.js';

const channel = threadEnd<StorageChannel>();
const settings = channel.data;
const system = nodeSystem(settings.umask);
const sessions = new Map<number, StorageHandle>();
const profiles = new Map<number, SessionProfile>();

function send(message: FromStorage): void {
  const answer = message.op === 'answer' ? message.answer : undefined;
  channel.send(message, answer && ownMemory(answer)); // a large answer has memory of its own, which is moved
}

async function open(session: number, request: SessionRequest): Promise<undefined> {
  const { directory } = request;
  guardClient(directory);
  const profile = SessionProfile.start(settings.profiles, directory.client, 'storage', (error) =>
    send({
      op: 'sideWorkFailed',
      client: directory.client,
      error: toWire(error),
      what: 'profile of the session',
    }),
  );
  if (profile !== undefined) profiles.set(session, profile);
  try {
    const opened = await openSession(
      system,
      request,
      {
        answer: (answer, processedBytes) => send({ op: 'answer', session, answer, processedBytes }),
        closing: (requests) => send({ op: 'closing', session, requests }),
        failed: (error) => {
          sessions.delete(session); // the session has already released everything
          endProfile(session);
          send({ op: 'failed', session, error: toWire(error) });
        },
      },
      (error) => {
        const what = 'copy of the catalog';
        send({ op: 'sideWorkFailed', client: directory.client, error: toWire(error), what });
      },
    );
    sessions.set(session, opened);
  } catch (error) {
    endProfile(session);
    throw error;
  }
}

function endProfile(session: number): void {
  profiles.get(session)?.stop();
  profiles.delete(session);
}

async function finish(session: number, kind: 'end' | 'abandon'): Promise<undefined> {
  const ending = sessions.get(session);
  sessions.delete(session);
  try {
    if (kind === 'end') await ending?.end();
    else await ending?.abandon();
  } finally {
    endProfile(session);
  }
}

const halting = new AbortController();

async function resultOf(request: StorageRequest): Promise<StorageResult> {
  switch (request.kind) {
    case 'open':
      return open(request.session, request.request);
    case 'end':
    case 'abandon':
      return finish(request.session, request.kind);
    case 'measure':
      guardClient(request.directory);
      return measureSpace(system, request.directory, request.withEntries);
    case 'standing':
      guardClient(request.directory);
      return standingOf(system, request.directory, request.withFigures);
    case 'collectGarbage':
      guardClient(request.directory);
      return collectGarbageHere(system, request.directory, request.work, halting.signal);
  }
}

channel.listen((message: ToStorage) => {
  switch (message.op) {
    case 'call':
      void replyTo(message.call, resultOf).then((reply) => send({ op: 'reply', reply }));
      return;
    case 'message':
      sessions.get(message.session)?.post(message.name, bufferOf(message.bytes));
      return;
    case 'park':
      sessions.get(message.session)?.park();
      return;
    case 'halt':
      halting.abort();
  }
});
