import test from 'ava';
import { barChart, lineChart } from '../../bench/plot.js';

/** Returns the attributes of all elements with a name. */
function elements(svg: string, name: string): Record<string, string>[] {
  return [...svg.matchAll(new RegExp(`<${name}\\b([^>]*)>`, 'g'))].map(([, text = '']) =>
    Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, k, v]) => [k, v])),
  );
}

test('bars are as high as their values, and named', (t) => {
  const svg = barChart({
    title: 'Time',
    unit: 's',
    groups: [
      {
        label: 'first',
        bars: [
          { label: 'a', value: 1 },
          { label: 'b <&>', value: 4 },
        ],
      },
      { label: 'second', bars: [{ label: 'b <&>', value: 2 }] },
    ],
  });
  const bars = elements(svg, 'rect').filter((one) => one['height'] !== '12' && one['x']);
  const [one, four, two] = bars.map((bar) => Number(bar['height']));
  t.true(Math.abs(four! / one! - 4) < 0.01 && Math.abs(four! / two! - 2) < 0.01);
  t.is(bars[1]?.['fill'], bars[2]?.['fill'], 'a subject keeps its color');
  t.true(svg.includes('b &lt;&amp;&gt;') && !svg.includes('b <&>'));
  t.regex(svg, /Time \(s\)/);
});

test('lines run from left to right over a logarithmic axis, higher values above', (t) => {
  const svg = lineChart({
    title: 'Memory',
    unit: 'MB',
    xLabel: 'files',
    series: [
      {
        label: 'a',
        points: [
          [100, 10],
          [1000, 20],
          [10_000, 5],
        ],
      },
    ],
  });
  const dots = elements(svg, 'circle').map((dot) => [Number(dot['cx']), Number(dot['cy'])]);
  t.is(dots.length, 3);
  const [first, second, third] = dots as [number[], number[], number[]];
  t.true(Math.abs(second[0]! - first[0]! - (third[0]! - second[0]!)) < 0.1, 'equal steps');
  t.true(second[1]! < first[1]! && first[1]! < third[1]!);
});

test('nothing to show is no mistake', (t) => {
  t.regex(barChart({ title: 'x', unit: 's', groups: [] }), /<\/svg>/);
  t.regex(lineChart({ title: 'x', unit: 's', xLabel: 'y', series: [] }), /<\/svg>/);
  const one = lineChart({
    title: 'x',
    unit: 's',
    xLabel: 'y',
    series: [{ label: 'a', points: [[5, 0]] }],
  });
  t.notRegex(one, /NaN|Infinity/);
});
