/** The connections of one session, one after the other. */
import test from 'ava';
import { SessionLine } from '../../src/client/index.js';
import { TICKET_BYTES } from '../../src/transport/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { FakeConnection, WELCOME } from '../helpers/fake-connection.js';

class Lab {
  readonly calls: string[] = [];
  readonly heard: string[] = [];
  readonly places: unknown[] = [];
  readonly line: SessionLine;

  constructor() {
    const note = (call: string) => () => void this.calls.push(call);
    const sender = { welcome: note('welcome'), resume: note('resume'), detach: note('detach') };
    this.line = new SessionLine(
      sender as unknown as ConstructorParameters<typeof SessionLine>[0],
      (name) => void this.heard.push(name),
    );
    this.line.onLost = ({ code }) => void this.calls.push(`lost ${code}`);
  }

  greet(connection: FakeConnection): Promise<unknown> {
    return connection.greetedBy(this.line, (place) => void this.places.push(place));
  }

  async greeted(): Promise<FakeConnection> {
    const connection = new FakeConnection();
    const greeting = this.greet(connection);
    connection.welcome();
    await greeting;
    return connection;
  }
}

test('a session begins without a ticket, and resumes with the one that it got', async (t) => {
  const lab = new Lab();
  const first = await lab.greeted();
  t.deepEqual(lab.calls, ['welcome', 'resume']);
  first.deliver('durable', Buffer.alloc(10));
  first.deliver('durable', Buffer.alloc(10));
  await first.lose();
  t.deepEqual(lab.calls.slice(2), ['detach', 'lost CONNECTION_LOST']);
  const second = await lab.greeted();
  t.deepEqual(lab.places, [
    { ticket: Buffer.alloc(0), upTo: 0 },
    { ticket: WELCOME.ticket, upTo: 2 },
  ]);
  t.deepEqual(second.acknowledged, [2], 'a new connection hears at once what was handled');
});

test('a server that sends no valid ticket is refused before anything is sent to it', async (t) => {
  for (const bytes of [0, TICKET_BYTES - 1, TICKET_BYTES + 1]) {
    const lab = new Lab();
    const connection = new FakeConnection();
    const greeting = lab.greet(connection);
    connection.welcome({ ticket: Buffer.alloc(bytes) });
    t.is(await rejectedCode(greeting), 'PROTOCOL_VIOLATION', `${bytes}`);
    t.deepEqual(lab.calls, []);
    t.deepEqual(connection.acknowledged, []);
  }
});

test('an account without space ends a new session, but not one that is under way', async (t) => {
  const full = { quotaBytes: 100, usedBytes: 100 };
  const refused = new Lab();
  const connection = new FakeConnection();
  const greeting = refused.greet(connection);
  connection.welcome(full);
  t.is(await rejectedCode(greeting), 'QUOTA_EXCEEDED');
  t.deepEqual(refused.calls, []);

  const lab = new Lab();
  await (await lab.greeted()).lose();
  const next = new FakeConnection();
  const again = lab.greet(next);
  next.welcome(full);
  await again;
  t.is(lab.calls.at(-1), 'resume');
});

test('an abandoned connection is neither heard nor missed', async (t) => {
  const lab = new Lab();
  const first = await lab.greeted();
  await lab.greeted();
  first.deliver('durable', Buffer.alloc(10));
  t.deepEqual(lab.heard, []);
  t.is(lab.line.handledCount, 0, 'the server would take the message for received');
  const before = lab.calls.length;
  await first.lose();
  t.is(lab.calls.length, before);
});

test('answers are acknowledged after many of them, or after many bytes', async (t) => {
  const lab = new Lab();
  const connection = await lab.greeted();
  t.deepEqual(connection.acknowledged, [0]);
  for (let count = 0; count < 127; count += 1) connection.deliver('durable', Buffer.alloc(10));
  t.deepEqual(connection.acknowledged, [0]);
  connection.deliver('durable', Buffer.alloc(10));
  t.deepEqual(connection.acknowledged, [0, 128]);
  connection.deliver('listing', Buffer.alloc((256 << 10) - 1));
  t.deepEqual(connection.acknowledged, [0, 128]);
  connection.deliver('listing', Buffer.alloc(1));
  t.deepEqual(connection.acknowledged, [0, 128, 130]);
});
