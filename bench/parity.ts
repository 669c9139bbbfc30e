import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type BucketParity, bucketParity } from './bucket-parity.js';
import { seconds } from './cells.js';
import { median, ratioOf } from './figures.js';
import { makeTree, treeLine } from './make-tree.js';
import { measure } from './measure.js';
import type { Options } from './options.js';
import { barChart } from './plot.js';
import { rest } from './rest.js';
import { bytesBelow, confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';
import type { Workplace } from './workplace.js';

const TIME_LIMIT = 1.08;
const BYTES_LIMIT = 1.035;

const WAYS = ['parity', 'without'] as const;
type Way = (typeof WAYS)[number];

/** Measures what parity costs: first backups in pairs, one with the usual parity and one with none. */
export async function parity(
  workplace: Workplace,
  checkout: string,
  options: Options,
  print: (line: string) => void,
): Promise<Answer> {
  const size = await makeTree(workplace, options, print);
  const { root, log, tree } = workplace;
  const times: Record<Way, number[]> = { parity: [], without: [] };
  const bytes: Record<Way, number[]> = { parity: [], without: [] };
  const store = join(root, 'store');
  const home = join(root, 'home');
  mkdirSync(home, { recursive: true });
  const config = join(root, 'without.cfg');
  writeFileSync(config, '[Tardis]\nParity = 0\n');
  await rest();
  for (let round = 0; round < options.runs; round++) {
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
      const tardis = join(checkout, 'bin', 'tardis');
      const settings = way === 'without' ? ['--local-config', config] : [];
      const place = ['-D', store, '-C', 'bench', '--local', ...settings];
      const argv = [tardis, ...place, '--create', tree] as const;
      const { wallMs } = await measure({ argv, env: confinedTo(home) }, { logFile: log });
      times[way].push(wallMs);
      bytes[way].push(bytesBelow(store));
      rmSync(store, { recursive: true });
      print(`round ${round + 1}/${options.runs}: ${way}: ${seconds(wallMs)} s`);
    }
  }
  const about = `${treeLine(size)}, on ${workplace.fileSystem}; medians of ${options.runs}`;
  const there = await bucketParity({ workplace, checkout, options, print });
  return answer(times, bytes, about, there);
}

function answer(
  times: Record<Way, number[]>,
  bytes: Record<Way, number[]>,
  about: string,
  there: BucketParity,
): Answer {
  const [thereRatio, thereShare] = [
    ratioOf(there.times.parity, there.times.without),
    ratioOf(there.bytes.parity, there.bytes.without),
  ];
  const { puts, damages, notHealed } = there;
  const [ratio, share] = [
    ratioOf(times.parity, times.without),
    ratioOf(bytes.parity, bytes.without),
  ];
  const mebibytes = (all: readonly number[]): string => (median(all) / 2 ** 20).toFixed(1);
  return {
    question: 'parity',
    about: `a first backup with parity, and one without; ${about}`,
    headings: ['what', '', 'parity', 'without', 'ratio'],
    rows: [
      ['first', 's', ...WAYS.map((way) => seconds(median(times[way]))), shown(ratio?.pairwise)],
      ['store', 'MiB', ...WAYS.map((way) => mebibytes(bytes[way])), shown(share?.pairwise)],
      [
        'first, into a bucket',
        's',
        ...WAYS.map((way) => seconds(median(there.times[way]))),
        shown(thereRatio?.pairwise),
      ],
      [
        'bucket',
        'MiB',
        ...WAYS.map((way) => mebibytes(there.bytes[way])),
        shown(thereShare?.pairwise),
      ],
      ['PUT, into a bucket', '', ...WAYS.map((way) => String(puts[way])), ''],
      [`objects not healed of ${damages} damages`, '', String(notHealed), '', ''],
    ],
    verdicts: [
      verdictOf('first, with parity, times without', TIME_LIMIT, ratio?.pairwise),
      verdictOf('bytes of the store, times without', BYTES_LIMIT, share?.pairwise),
      verdictOf('first into a bucket, times without', TIME_LIMIT, thereRatio?.pairwise),
      verdictOf('bytes of the bucket, times without', BYTES_LIMIT, thereShare?.pairwise),
      verdictOf('objects of a bucket not healed', 0, notHealed),
      verdictOf('PUT more with parity', 0, puts.parity - puts.without),
    ],
    notes: [
      'a ratio is the median of pairs; a pair is two backups one after the other',
      'the bucket is at a server in this process; parity there is --parity 3',
    ],
    figures: { times, bytes, there },
    plots: [
      {
        name: 'parity',
        svg: barChart({
          title: 'What parity costs',
          unit: 's',
          groups: [
            {
              label: 'first',
              bars: WAYS.map((way) => ({ label: way, value: median(times[way]) / 1000 })),
            },
          ],
        }),
      },
    ],
  };
}

function shown(ratio: number | undefined): string {
  return ratio?.toFixed(3) ?? '-';
}
