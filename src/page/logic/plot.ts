/** Geometry of a plot of bytes over time: the line, and round numbers beside it. */

interface Point {
  readonly ms: number;
  readonly bytes: number;
}

/** A set, as the API reports it. */
interface Measured {
  readonly set: number;
  readonly openedAtMs: number;
  readonly stats: Readonly<Record<string, number>>;
}

export type SpacePoint = Point & Pick<Measured, 'set'>;

/** Returns the space that all listed sets up to each of them use; the newest set is given first, and returned last. */
export function spacePoints(sets: readonly Measured[]): SpacePoint[] {
  let bytes = 0;
  return sets.toReversed().map(({ set, openedAtMs: ms, stats }) => {
    bytes += stats['storedBytes'] ?? 0;
    return { set, ms, bytes };
  });
}

export interface Box {
  readonly width: number;
  readonly height: number;
  /** Space around the plot for its labels, in pixels. */
  readonly left: number;
  readonly bottom: number;
  readonly top: number;
  readonly right: number;
}

export interface Plot {
  /** Path of the line. */
  readonly line: string;
  /** Path of the area below the line. */
  readonly area: string;
  readonly dots: readonly { readonly x: number; readonly y: number; readonly point: Point }[];
  readonly levels: readonly { readonly y: number; readonly bytes: number }[];
  readonly times: readonly { readonly x: number; readonly ms: number }[];
}

const LEVELS = 4;
const TIMES = 4;
/** Round numbers within a power of ten. */
const ROUND = [1, 2, 2.5, 5, 10];

/** Returns the smallest round number that is at least `value`. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = ROUND.find((one) => one * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Returns the plot of points, which must be in the order of time; undefined if there are none. */
export function plotOf(points: readonly Point[], box: Box): Plot | undefined {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const spanMs = Math.max(1, last.ms - first.ms);
  const step = roundUp(Math.max(...points.map(({ bytes }) => bytes)) / LEVELS);
  const wide = box.width - box.left - box.right;
  const high = box.height - box.top - box.bottom;
  const floor = box.height - box.bottom;
  const x = (ms: number): number =>
    rounded(box.left + (points.length === 1 ? wide / 2 : ((ms - first.ms) / spanMs) * wide));
  const y = (bytes: number): number => rounded(floor - (bytes / (step * LEVELS)) * high);
  const dots = points.map((point) => ({ x: x(point.ms), y: y(point.bytes), point }));
  const line = dots.map((dot, index) => `${index === 0 ? 'M' : 'L'}${dot.x} ${dot.y}`).join('');
  return {
    line,
    area: `${line}L${dots.at(-1)!.x} ${floor}L${dots[0]!.x} ${floor}Z`,
    dots,
    levels: Array.from({ length: LEVELS + 1 }, (_, level) => ({
      y: y(level * step),
      bytes: level * step,
    })),
    times: Array.from({ length: points.length === 1 ? 1 : TIMES }, (_, index) => {
      const ms = first.ms + (spanMs * index) / (TIMES - 1);
      return { x: x(ms), ms };
    }),
  };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
