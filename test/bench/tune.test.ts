import test from 'ava';
import { bestOf, settingsToTry } from '../../bench/tune.js';

test('the best value of each setting is taken, if it is faster by more than noise', (t) => {
  const auto = { settings: [], wallMs: [1000, 1000, 1000] };
  const trial = (key: string, value: string, ms: number) => ({
    settings: [[key, value]] as const,
    wallMs: [ms, ms, ms],
  });
  const trials = [
    trial('Workers', '0', 900),
    trial('Workers', '1', 800),
    trial('Workers', '4', 850),
    trial('FrameSize', '4M', 990),
    trial('Budget', '4M', 1200),
  ];
  t.deepEqual(bestOf(auto, trials), [['Workers', '1']]);
  t.deepEqual(bestOf(auto, []), []);
});

test('each value is tried once, whatever the number of processors', (t) => {
  for (const processors of [1, 2, 4, 64]) {
    const all = settingsToTry(processors).map((setting) => setting.join('='));
    t.is(new Set(all).size, all.length);
  }
});
