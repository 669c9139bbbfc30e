/** A strict parser of the gauges of OpenMetrics 1.0, which rejects anything that the format does not allow. */

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{((?:${LABEL}(?:,${LABEL})*)?)\})? (\S+)$`);
const META = new RegExp(`^# (TYPE|UNIT|HELP) (${NAME}) (.*)$`);
const NUMBER = /^(?:[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/;

/** Returns values by name and labels, as `name{client="a"}`. Throws on the first invalid line. */
export function readOpenMetrics(text: string): Map<string, number> {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('it does not end with # EOF');
  const values = new Map<string, number>();
  const families = new Set<string>();
  let family = '';
  let printed = new Set<string>();
  for (const line of lines) {
    const wrong = (why: string): Error => new Error(`${why}: ${line}`);
    const meta = META.exec(line);
    if (meta !== null) {
      const [, kind, name, rest] = meta as unknown as [string, string, string, string];
      if (kind === 'TYPE') {
        if (families.has(name)) throw wrong('a family that is there twice');
        families.add(name);
        [family, printed] = [name, new Set()];
        if (rest !== 'gauge') throw wrong('no gauge');
      }
      if (name !== family || printed.has(kind) || printed.has('sample'))
        throw wrong('out of place');
      printed.add(kind);
      if (kind === 'UNIT' && !name.endsWith(`_${rest}`)) throw wrong('a name without its unit');
      if (kind === 'HELP' && !/^(?:[^\\]|\\[\\n"])*$/.test(rest))
        throw wrong('an escape that is none');
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (sample === null) throw wrong('no line of the format');
    const [, name, labels, value] = sample as unknown as [
      string,
      string,
      string | undefined,
      string,
    ];
    if (name !== family) throw wrong('a sample of another family');
    if (!NUMBER.test(value)) throw wrong('no number');
    printed.add('sample');
    const key = labels === undefined ? name : `${name}{${labels}}`;
    if (values.has(key)) throw wrong('a sample that is there twice');
    values.set(key, Number(value.replace('Inf', 'Infinity')));
  }
  return values;
}
