import test from 'ava';
import { MessageMarks } from '../../src/client/index.js';

test('how many bytes are durable is known to the message, and roughly when there are very many', (t) => {
  const marks = new MessageMarks();
  t.is(marks.upTo(5), 0);
  for (let message = 1; message <= 10; message += 1) marks.note(message, message * 100);
  t.is(marks.upTo(0), 0);
  t.is(marks.upTo(4), 400);
  t.is(marks.upTo(4), 400);
  t.is(marks.upTo(10), 1000);
  t.is(marks.upTo(10), 1000);

  const many = 100_000; // the server acknowledges nothing for a long time
  for (let message = 11; message <= many; message += 1) marks.note(message, message * 100);
  const half = marks.upTo(many / 2);
  t.true(half <= many * 50 && half > many * 45, `${half}`);
  t.is(marks.upTo(many), many * 100);
});
