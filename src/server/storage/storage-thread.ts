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

async function tell(question: number, asked: StorageQuestion): Promise<void> {
  try {
    send({ op: 'told', question, answer: await answerTo(asked) });
  } catch (error) {
    send({ op: 'told', question, answer: toWire(error) });
  }
}

function answerTo(asked: StorageQuestion): Promise<JobOutcome> {
  guardClient(asked.directory);
  switch (asked.kind) {
    case 'measure':
      return measureSpace(system, asked.directory, asked.withEntries);
    case 'standing':
      return standingOf(system, asked.directory, asked.withFigures);
    case 'collectGarbage':
      return collectGarbageHere(system, asked.directory, asked.work, halting.signal);
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
    case 'checkpoint':
      sessions.get(message.session)?.checkpoint();
      return;
    case 'end':
    case 'abandon':
      void finish(message.session, message.op);
      return;
    case 'ask':
      void tell(message.question, message.asked);
      return;
    case 'halt':
      halting.abort();
      return;
    case 'finish':
      void copies.finished().then(() => send({ op: 'finished' }));
  }
});
