import test from 'ava';
import { adviceOf, bestOf, settingsToTry } from '../../bench/tune.js';

test('the best value of each setting is taken, if it is faster by more than noise', (t) => {
  const trial = (key: string, value: string, ms: number) => ({
    settings: [[key, value]] as const,
    wallMs: [ms, 2 * ms, ms],
    autoMs: [1000, 2000, 1000], // the machine was slow once
  });
  const trials = [
    trial('Workers', '0', 900),
    trial('Workers', '1', 800),
    trial('Workers', '4', 850),
    trial('FrameSize', '4M', 990),
    trial('Budget', '4M', 1200),
  ];
  t.deepEqual(bestOf(trials), [['Workers', '1']]);
  t.deepEqual(bestOf([]), []);
});

test('settings are recommended only if they are faster together, too', (t) => {
  t.regex(adviceOf([], 1), /nothing but the profile auto$/);
  t.regex(adviceOf(['Workers = 2'], 1.2), /wants, in \[Pipeline\]: Workers = 2$/);
  for (const ratio of [0.83, 1, 1.02]) {
    t.regex(adviceOf(['Workers = 2'], ratio), /nothing but .*, Workers = 2 gained nothing$/);
  }
});

test('each value is tried once, whatever the number of processors', (t) => {
  for (const processors of [1, 2, 4, 64]) {
    const all = settingsToTry(processors).map((setting) => setting.join('='));
    t.is(new Set(all).size, all.length);
  }
});
