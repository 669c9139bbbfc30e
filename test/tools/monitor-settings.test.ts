/** The server's settings for alerts and metrics. */
import test from 'ava';
import { resolveSettings } from '../../src/config/index.js';
import { watchPlan } from '../../src/tools/index.js';
import { thrownCode } from '../helpers/codes.js';

type Texts = Readonly<Record<string, string | readonly string[]>>;

function planFor(options: Texts): ReturnType<typeof watchPlan> {
  const commandLine = new Map(
    Object.entries(options).map(([name, texts]) => [name, [texts].flat()] as const),
  );
  const environment = { TARDIS_DEFAULTS: '' };
  return watchPlan(resolveSettings('tardisd', { commandLine, environment }));
}

test('nothing is watched unless something is enabled', (t) => {
  t.is(planFor({}), undefined);
  t.is(planFor({ metricsPort: '9100', single: 'true' }), undefined, 'one session is too short');
  t.is(planFor({ overdueSeconds: '0' }), undefined);
});

test('each kind of notice or figure makes a plan', (t) => {
  const all: readonly Texts[] = [
    { overdueSeconds: '60' },
    { overdueFor: 'me=60' },
    { hookFailure: 'notify' },
    { metricsFile: '/run/tardis.prom' },
    { metricsPort: '9100' },
  ];
  for (const options of all) t.truthy(planFor(options), JSON.stringify(options));
});

test('times are seconds in settings and milliseconds in the plan, for each client', (t) => {
  const plan = planFor({ overdueSeconds: '90', overdueFor: ['a=60', 'b=0'], watchSeconds: '30' })!;
  t.like(plan, { overdueAfterMs: 90_000, intervalMs: 30_000, metricsAddress: undefined });
  t.deepEqual(
    [...plan.overdueFor],
    [
      ['a', 60_000],
      ['b', 0],
    ],
  );
});

test('metrics are served on the address that was given, and only with a port', (t) => {
  t.deepEqual(planFor({ metricsPort: '9100', metricsAddress: '::1' })?.metricsAddress, {
    host: '::1',
    port: 9100,
  });
  t.is(planFor({ metricsFile: '/run/x', metricsAddress: '::1' })?.metricsAddress, undefined);
});

test('settings that make no sense are refused', (t) => {
  const wrong: readonly Texts[] = [
    { metricsAddress: 'localhost' },
    { metricsAddress: '1.2.3' },
    { hookOverdue: 'notify' }, // nothing is ever overdue
    { overdueFor: 'me' },
    { overdueFor: 'me=' },
    { overdueFor: 'me=-1' },
    { overdueFor: 'me=1e3' },
    { overdueFor: '=60' },
    { overdueFor: '../me=60' },
    { overdueFor: 'me=12345678901' },
  ];
  for (const options of wrong) {
    t.is(
      thrownCode(() => planFor(options)),
      'CONFIG_INVALID',
      JSON.stringify(options),
    );
  }
  t.notThrows(() => planFor({ hookOverdue: 'notify', overdueFor: 'me=60' }));
});
