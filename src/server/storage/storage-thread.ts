/** Entry point of a storage thread: passes messages to storage sessions, and their answers back. */
import { toWire } from '../../errors/index.js';
import { CatalogCopies } from '../../store/writer/index.js';
import { guardClient } from '../../store/index.js';
import { bufferOf } from '../../model/index.js';
import { nodeSystem, threadEnd } from '../../system/index.js';
import { standingOf } from './client-standing.js';
import type {
  FromStorage,
  StorageQuestion,
  StorageChannel,
  JobOutcome,
  ToStorage,
} from './storage-host.js';
import { collectGarbageHere } from './gc-work.js';
import { SessionProfile } from '../session-profile.js';
import { measureSpace } from './measure-space.js';
import { openSession } from './open-session.js';
import type { StorageHandle } from './storage-options.js';

const channel = threadEnd<StorageChannel>();
const settings = channel.data;
const system = nodeSystem(settings.umask);
const sessions = new Map<number, StorageHandle>();
const profiles = new Map<number, SessionProfile>();

const copies = new CatalogCopies(system, (client, error) =>
  send({ op: 'sideWorkFailed', client, error: toWire(error), what: 'copy of the catalog' }),
);

function send(message: FromStorage): void {
  channel.send(message);
}

async function open(message: Extract<ToStorage, { op: 'open' }>): Promise<void> {
  const { session } = message;
  const { directory } = message.request;
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
      message.request,
      {
        answer: (answer, processedBytes) => send({ op: 'answer', session, answer, processedBytes }),
        closing: (requests) => send({ op: 'closing', session, requests }),
        failed: (error) => {
          sessions.delete(session); // the session has already released everything
          endProfile(session);
          send({ op: 'failed', session, error: toWire(error) });
        },
      },
      copies,
    );
    sessions.set(session, opened);
    send({ op: 'opened', session });
  } catch (error) {
    endProfile(session);
    send({ op: 'opened', session, error: toWire(error) });
  }
}

function endProfile(session: number): void {
  profiles.get(session)?.stop();
  profiles.delete(session);
}

async function finish(session: number, op: 'end' | 'abandon'): Promise<void> {
  const ending = sessions.get(session);
  sessions.delete(session);
  try {
    if (op === 'end') await ending?.end();
    else await ending?.abandon();
    endProfile(session);
    send({ op: 'ended', session });
  } catch (error) {
    endProfile(session);
    send({ op: 'ended', session, error: toWire(error) });
  }
}

const halting = new AbortController();

async function sendAnswer(question: number, request: StorageQuestion): Promise<void> {
  try {
    send({ op: 'answered', question, answer: await answerTo(request) });
  } catch (error) {
    send({ op: 'answered', question, answer: toWire(error) });
  }
}

function answerTo(request: StorageQuestion): Promise<JobOutcome> {
  guardClient(request.directory);
  switch (request.kind) {
    case 'measure':
      return measureSpace(system, request.directory, request.withEntries);
    case 'standing':
      return standingOf(system, request.directory, request.withFigures);
    case 'collectGarbage':
      return collectGarbageHere(system, request.directory, request.work, halting.signal);
  }
}

channel.listen((message: ToStorage) => {
  switch (message.op) {
    case 'open':
      void open(message);
      return;
    case 'message':
      sessions.get(message.session)?.post(message.name, bufferOf(message.bytes));
      return;
    case 'park':
      sessions.get(message.session)?.park();
      return;
    case 'end':
    case 'abandon':
      void finish(message.session, message.op);
      return;
    case 'ask':
      void sendAnswer(message.question, message.request);
      return;
    case 'halt':
      halting.abort();
      return;
    case 'finish':
      void copies.finished().then(() => send({ op: 'finished' }));
  }
});
