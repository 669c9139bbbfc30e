/** A line through points; x and y have the units of the axes. */
export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Bars side by side, one for each label. */
export interface Group {
  readonly label: string;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 70;
const RIGHT = 150;
const TOP = 40;
const BOTTOM = 50;
const INNER_WIDTH = WIDTH - LEFT - RIGHT;
const INNER_HEIGHT = HEIGHT - TOP - BOTTOM;
const COLORS = [
  '#3366cc',
  '#dc3912',
  '#109618',
  '#ff9900',
  '#990099',
  '#0099c6',
  '#666666',
  '#994400',
  '#88aa00',
];

/** Returns a chart of grouped bars as SVG; the axis begins at 0. */
export function barChart(options: {
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly Group[];
}): string {
  const { title, unit, groups } = options;
  const labels = [...new Set(groups.flatMap((group) => group.bars.map((bar) => bar.label)))];
  const axis = axisUpTo(Math.max(0, ...groups.flatMap((g) => g.bars.map((bar) => bar.value))));
  const groupWidth = INNER_WIDTH / Math.max(1, groups.length);
  const barWidth = (groupWidth * 0.8) / Math.max(1, labels.length);
  const shapes = groups.flatMap((group, i) => {
    const start = LEFT + i * groupWidth;
    const bars = group.bars.map(({ label, value }) => {
      const index = labels.indexOf(label);
      const height = (value / axis.max) * INNER_HEIGHT;
      const x = start + groupWidth * 0.1 + index * barWidth;
      return (
        `<rect x="${n(x)}" y="${n(TOP + INNER_HEIGHT - height)}" width="${n(barWidth * 0.9)}" ` +
        `height="${n(height)}" fill="${color(index)}"><title>${escape(`${group.label} ${label}: ${value.toPrecision(3)} ${unit}`)}</title></rect>`
      );
    });
    return [...bars, text(start + groupWidth / 2, HEIGHT - BOTTOM + 18, group.label, 'middle')];
  });
  return document(title, unit, axis, labels, shapes);
}

/** Returns a chart of lines over a logarithmic x axis as SVG; the y axis begins at 0. */
export function lineChart(options: {
  readonly title: string;
  readonly unit: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
}): string {
  const { title, unit, xLabel, series } = options;
  const points = series.flatMap((one) => one.points);
  const axis = axisUpTo(Math.max(0, ...points.map(([, y]) => y)));
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const [first = 1, last = 10] = [xs[0], xs.at(-1)];
  const span = Math.log(last / first) || 1;
  const place = ([x, y]: readonly [number, number]): [number, number] => [
    LEFT + (Math.log(x / first) / span) * INNER_WIDTH,
    TOP + INNER_HEIGHT * (1 - y / axis.max),
  ];
  const shapes = series.flatMap((one, i) => {
    const placed = one.points.map(place);
    const line = placed.map(([x, y]) => `${n(x)},${n(y)}`).join(' ');
    const dots = placed.map(
      ([x, y]) => `<circle cx="${n(x)}" cy="${n(y)}" r="3" fill="${color(i)}"/>`,
    );
    return [
      `<polyline points="${line}" fill="none" stroke="${color(i)}" stroke-width="2"/>`,
      ...dots,
    ];
  });
  const ticks = xs.map((x) =>
    text(place([x, 0])[0], HEIGHT - BOTTOM + 18, x.toLocaleString('en'), 'middle'),
  );
  const name = text(LEFT + INNER_WIDTH / 2, HEIGHT - 12, xLabel, 'middle');
  const labels = series.map((one) => one.label);
  return document(title, unit, axis, labels, [...shapes, ...ticks, name]);
}

interface Axis {
  readonly max: number;
  readonly step: number;
}

/** Returns an axis that includes a value and has four to ten round steps. */
function axisUpTo(value: number): Axis {
  const rough = (value > 0 ? value : 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  return { max: Math.ceil((value > 0 ? value : 1) / step) * step, step };
}

function document(
  title: string,
  unit: string,
  axis: Axis,
  labels: readonly string[],
  shapes: readonly string[],
): string {
  const grid: string[] = [];
  for (let i = 0; i * axis.step <= axis.max * 1.0001; i++) {
    const value = i * axis.step;
    const y = TOP + INNER_HEIGHT * (1 - value / axis.max);
    grid.push(
      `<line x1="${LEFT}" y1="${n(y)}" x2="${LEFT + INNER_WIDTH}" y2="${n(y)}" stroke="#dddddd"/>`,
      text(LEFT - 8, y + 4, String(Number(value.toPrecision(6))), 'end'),
    );
  }
  const legend = labels.flatMap((label, i) => [
    `<rect x="${WIDTH - RIGHT + 15}" y="${TOP + i * 20}" width="12" height="12" fill="${color(i)}"/>`,
    text(WIDTH - RIGHT + 33, TOP + i * 20 + 11, label, 'start'),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(LEFT, 22, `${title} (${unit})`, 'start'),
    ...grid,
    ...shapes,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, shown: string, anchor: string): string {
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${escape(shown)}</text>`;
}

function escape(shown: string): string {
  return shown.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function color(index: number): string {
  return COLORS[index % COLORS.length] ?? '#000000';
}

function n(value: number): string {
  return String(Number(value.toFixed(2)));
}
