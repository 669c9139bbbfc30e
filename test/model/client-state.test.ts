import test from 'ava';
import {
  CLIENT_STATES,
  type ClientFacts,
  clientState,
  usualLateMs,
} from '../../src/model/index.js';

const HOUR_MS = 3_600_000;
const fresh = { ageMs: HOUR_MS, unread: 0 };
const facts = (more: Partial<ClientFacts>): ClientFacts => ({
  newest: fresh,
  lateAfterMs: 26 * HOUR_MS,
  ...more,
});

test('the state of a client follows from its newest complete set and the last run', (t) => {
  const of = (more: Partial<ClientFacts>) => clientState(facts(more)).state;
  t.is(of({}), 'good');
  t.is(of({ isRunning: true }), 'running');
  t.is(of({ newest: { ...fresh, unread: 2 } }), 'warned');
  t.is(of({ newest: { ...fresh, isDoubtful: true } }), 'warned');
  t.is(of({ damagedContents: 1 }), 'warned');
  t.is(of({ newest: { ...fresh, ageMs: 26 * HOUR_MS } }), 'late');
  t.is(of({ newest: { ...fresh, ageMs: 26 * HOUR_MS }, lateAfterMs: 0 }), 'good');
  t.is(of({ failure: 'the disk is full' }), 'failed');
  t.is(of({ newest: undefined }), 'never');
  t.is(of({ newest: undefined, failure: 'the disk is full' }), 'failed');
  t.is(of({ fault: 'there is no store' }), 'unknown');
});

test('a state that hides data or a fault goes before one that only warns', (t) => {
  const all: Partial<ClientFacts> = {
    newest: { ageMs: 100 * HOUR_MS, unread: 1 },
    failure: 'the disk is full',
    damagedContents: 1,
  };
  t.is(clientState(facts(all)).state, 'failed');
  t.is(clientState(facts({ ...all, failure: undefined })).state, 'late');
  t.is(clientState(facts({ ...all, fault: 'gone' })).state, 'unknown');
  t.is(clientState(facts({ ...all, isRunning: true })).state, 'running');
});

test('without an interval, a client is late after two and a half times the usual distance of days', (t) => {
  const DAY_MS = 24 * HOUR_MS;
  const at = (...days: number[]) => usualLateMs(days.map((day) => day * DAY_MS));
  t.is(at(0, 1, 2, 3, 8, 9), 2.5 * DAY_MS);
  t.is(at(9, 8, 3, 2, 1, 0), 2.5 * DAY_MS);
  t.is(at(0, 7, 14, 21), 17.5 * DAY_MS);
  // Several backups on few days show no schedule.
  t.is(at(0, 0.1, 0.2, 0.3, 1), 0);
  t.is(at(), 0);
});

test('each state has a reason, and advice unless all is well', (t) => {
  const shown = [
    facts({}),
    facts({ isRunning: true }),
    facts({ newest: { ...fresh, unread: 1 } }),
    facts({ lateAfterMs: 1 }),
    facts({ failure: 'x' }),
    facts({ newest: undefined }),
    facts({ fault: 'x' }),
    facts({ fault: 'no store; is its disk mounted?' }),
  ].map(clientState);
  t.deepEqual(new Set(shown.map(({ state }) => state)), new Set(CLIENT_STATES));
  for (const { state, reason, advice } of shown) {
    t.regex(reason, /[^?.][?.]$/);
    t.is(advice === '', state === 'good' || state === 'running', state);
  }
});

test('the last restore that proved the backups is shown, and does not change the state', (t) => {
  const DAY_MS = 24 * HOUR_MS;
  const nowMs = 1000 * DAY_MS;
  const of = (restoredAtMs: number, checkedAtMs = 0, more: Partial<ClientFacts> = {}) =>
    clientState(facts({ ...more, proven: { restoredAtMs, checkedAtMs, nowMs } }));
  t.is(clientState(facts({})).proof, undefined);
  t.like(of(0).proof, { code: 'none', restoredAtMs: undefined, checkedAtMs: undefined });
  t.like(of(nowMs - 3 * DAY_MS, 5).proof, {
    code: 'restored',
    checkedAtMs: 5,
    restoredAtMs: nowMs - 3 * DAY_MS,
    reason: 'Files were last restored and proven 3 days ago.',
    advice: '',
  });
  t.is(of(nowMs - 200 * DAY_MS).proof?.code, 'old');
  t.not(of(nowMs - 200 * DAY_MS).proof?.advice, '');
  t.is(of(nowMs + DAY_MS).proof?.code, 'restored', 'a clock that was set back');
  t.is(of(0).state, 'good');
  t.is(of(nowMs, 0, { failure: 'x' }).state, 'failed');
});
