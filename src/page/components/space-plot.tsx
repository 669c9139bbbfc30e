/** Shows the number of stored bytes after each backup, as a line over time. A table contains the same figures. */
import { useContext } from 'preact/hooks';
import { labelled, LOCALE, t } from '../language.js';
import { type Box, type Plot, plotOf, type SpacePoint, spacePoints } from '../logic/plot.js';
import { DAY_MS, shownBytes, shownDay, shownTime } from '../logic/formats.js';
import { Acting } from './acts.js';

const BOX: Box = { width: 640, height: 220, left: 64, right: 16, top: 12, bottom: 28 };
/** Span of time below which times are shown as hours. */
const SHORT_MS = 2 * DAY_MS;
const CLOCK = { hour: '2-digit', minute: '2-digit' } as const;
const DAY = { day: 'numeric', month: 'short' } as const;
/** Maximum number of points that are drawn as dots. With more points, only the line is drawn. */
const MAX_DOTS = 80;

export function SpacePlot() {
  const points = spacePoints(useContext(Acting).sets);
  const plot = plotOf(points, BOX);
  const [first, last] = [points[0], points.at(-1)];
  if (plot === undefined || first === undefined || last === undefined) {
    return <p class="faint">{t('spaceNone')}</p>;
  }
  const span = { from: shownDay(first.ms, LOCALE), to: shownDay(last.ms, LOCALE) };
  return (
    <>
      <p>
        <strong class="figure">{t('storedNow', { bytes: shownBytes(last.bytes, LOCALE) })}</strong>
      </p>
      <Drawing plot={plot} label={t('spaceOf', span)} />
      <details>
        <summary>{t('table')}</summary>
        <SpaceTable points={points} />
      </details>
    </>
  );
}

function Drawing({ plot, label }: { readonly plot: Plot; readonly label: string }) {
  const spanMs = (plot.times.at(-1)?.ms ?? 0) - (plot.times[0]?.ms ?? 0);
  const time = new Intl.DateTimeFormat(LOCALE, spanMs < SHORT_MS ? CLOCK : DAY);
  const right = BOX.width - BOX.right;
  return (
    <svg class="plot" viewBox={`0 0 ${BOX.width} ${BOX.height}`} role="img" aria-label={label}>
      {plot.levels.map(({ y, bytes }) => (
        <g key={bytes}>
          <line class="level" x1={BOX.left} x2={right} y1={y} y2={y} />
          <text x={BOX.left - 8} y={y + 4} text-anchor="end">
            {shownBytes(bytes, LOCALE)}
          </text>
        </g>
      ))}
      {plot.times.map(({ x, ms }, index) => (
        <text
          key={ms}
          x={x}
          y={BOX.height - 8}
          text-anchor={
            index === plot.times.length - 1 && index > 0 ? 'end' : index === 0 ? 'start' : 'middle'
          }
        >
          {time.format(ms)}
        </text>
      ))}
      <path class="area" d={plot.area} />
      <path class="curve" d={plot.line} />
      {plot.dots.length > MAX_DOTS
        ? null
        : plot.dots.map(({ x, y, point }) => (
            <circle key={point.ms} class="dot" cx={x} cy={y} r="3">
              <title>
                {labelled(shownTime(point.ms, LOCALE), shownBytes(point.bytes, LOCALE))}
              </title>
            </circle>
          ))}
    </svg>
  );
}

function SpaceTable({ points }: { readonly points: readonly SpacePoint[] }) {
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th scope="col">{t('set')}</th>
          <th scope="col">{t('time')}</th>
          <th scope="col" class="right">
            {t('size')}
          </th>
        </tr>
      </thead>
      <tbody>
        {points.toReversed().map(({ set, ms, bytes }) => (
          <tr key={set}>
            <td>{set}</td>
            <td>{shownTime(ms, LOCALE)}</td>
            <td class="right">{shownBytes(bytes, LOCALE)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
