/**
 * Metrics as text in the format of OpenMetrics 1.0. Only gauges are used, which the older format of Prometheus has
 * too.
 */

type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  /** Value of the sample; undefined if it is unknown. The sample is then left out. */
  readonly value: number | undefined;
}

export interface Gauge {
  /** Name of the gauge. It ends with the unit, if there is one: `_bytes` or `_seconds`. */
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const UNIT = /_(bytes|seconds)$/;

/** Returns the text of gauges; those without a sample are left out. */
export function openMetrics(gauges: readonly Gauge[]): string {
  const lines = gauges.flatMap(({ name, help, samples }) => {
    const sampleLines = samples.flatMap(({ labels, value }) =>
      value === undefined ? [] : [`${name}${labelsText(labels)} ${valueText(value)}`],
    );
    if (sampleLines.length === 0) return [];
    const [, unit] = UNIT.exec(name) ?? [];
    const units = unit === undefined ? [] : [`# UNIT ${name} ${unit}`];
    return [`# TYPE ${name} gauge`, ...units, `# HELP ${name} ${escaped(help)}`, ...sampleLines];
  });
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

function labelsText(labels: Labels | undefined): string {
  if (labels === undefined) return '';
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${pairs.join(',')}}`;
}

/** Escapes the text of a help line or the value of a label. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`);
}

function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}
