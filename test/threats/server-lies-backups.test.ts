// Pace: long
import test from 'ava';
import { underLies } from '../helpers/server-lies.js';

for (const kind of ['backup'] as const) {
  test.serial(`a server lies about each of its messages: ${kind}`, (t) => underLies(t, kind));
}
