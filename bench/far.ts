import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { seconds, shownRatio } from './cells.js';
import { treeLine } from './change.js';
import { median, ratioOf } from './figures.js';
import { barChart } from './plot.js';
import { Proxy } from './proxy.js';
import { RunningServer } from './running-server.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';

const RATIO_LIMIT = 1.1;

type Kind = 'first' | 'unchanged';

/** Times by kind of backup and distance of the server; index i is round i. */
interface Times {
  readonly near: Record<Kind, number[]>;
  readonly far: Record<Kind, number[]>;
}

/**
 * Measures the cost of a distant server, for a first backup and an unchanged one. They are measured in turn through a
 * proxy without delay and one with delay.
 */
export async function far(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  const size = await bench.makeTree();
  const times: Times = { near: { first: [], unchanged: [] }, far: { first: [], unchanged: [] } };
  const store = join(workplace.root, 'store');
  mkdirSync(store);
  writeFileSync(join(store, '.tardis-store'), ''); // a new store, without clients
  const env = confinedTo(workplace.root);
  const server = await RunningServer.tardisd(bench, { store, env });
  try {
    await rest();
    for (let i = 0; i < options.runs; i++) {
      for (const where of ['near', 'far'] as const) {
        const roundTripMs = where === 'near' ? 0 : options.delayMs;
        for (const kind of ['first', 'unchanged'] as const) {
          const wallMs = await backUp(bench, server.port, {
            client: `${where}-${i}`,
            create: kind === 'first',
            roundTripMs,
          });
          times[where][kind].push(wallMs);
          print(`${bench.roundName(i)}: ${kind}, ${roundTripMs} ms: ${seconds(wallMs)} s`);
        }
      }
    }
  } finally {
    await server.stop();
  }
  return answer(times, `${treeLine(size)}; medians of ${options.runs}`, options.delayMs);
}

function answer(times: Times, about: string, delayMs: number): Answer {
  const kinds = ['first', 'unchanged'] as const;
  const lines = kinds.map((kind) => {
    const [near, distant] = [median(times.near[kind]), median(times.far[kind])];
    const ratio = ratioOf(times.far[kind], times.near[kind]);
    return { kind, nearMs: near, farMs: distant, ratio, roundTrips: (distant - near) / delayMs };
  });
  return {
    question: 'far',
    about: `a server ${delayMs} ms away (a round trip); ${about}`,
    headings: ['backup', '', '0 ms: s', `${delayMs} ms: s`, 'ratio', 'pairwise', 'round trips'],
    rows: lines.map(({ kind, nearMs, farMs, ratio, roundTrips }) => [
      kind,
      '',
      seconds(nearMs),
      seconds(farMs),
      shownRatio(ratio?.ofMedians),
      shownRatio(ratio?.pairwise),
      roundTrips.toFixed(1),
    ]),
    verdicts: lines.map(({ kind, ratio }) =>
      verdictOf(`${kind}, ${delayMs} ms away, times near`, RATIO_LIMIT, ratio?.ofMedians),
    ),
    notes: [
      'round trips: the difference, as so many times the delay; a backup of less than some seconds cannot hide ' +
        'those of making the connection, opening the set and closing it',
    ],
    figures: { delayMs, times, lines },
    plots: [
      {
        name: 'far',
        svg: barChart({
          title: `A server ${delayMs} ms away`,
          unit: 's',
          groups: lines.map(({ kind, nearMs, farMs }) => ({
            label: kind,
            bars: [
              { label: '0 ms', value: nearMs / 1000 },
              { label: `${delayMs} ms`, value: farMs / 1000 },
            ],
          })),
        }),
      },
    ],
  };
}

async function backUp(
  bench: Bench,
  port: number,
  how: { readonly client: string; readonly create: boolean; readonly roundTripMs: number },
): Promise<number> {
  // Both use a proxy, so that both times include the cost of the proxy itself.
  const proxy = await Proxy.start({ host: '127.0.0.1', port, delayMs: how.roundTripMs / 2 });
  try {
    const { root, tree } = bench.workplace;
    const at = ['--server', '127.0.0.1', '--port', String(proxy.port), '--insecure-tcp'];
    const words = [...(how.create ? ['--create'] : []), ...at, '-C', how.client, tree];
    const argv = [bench.program('tardis'), ...words] as const;
    const { wallMs } = await bench.run({ argv, env: confinedTo(root) });
    return wallMs;
  } finally {
    await proxy.close();
  }
}
