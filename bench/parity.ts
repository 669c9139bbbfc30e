import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { type BucketParity, bucketParity } from './bucket-parity.js';
import { seconds, shownRatio } from './cells.js';
import { treeLine } from './change.js';
import { median, ratioOf } from './figures.js';
import { commandOf } from './operations.js';
import { barChart } from './plot.js';
import { bytesBelow } from './subjects/subject.js';
import { verdictOf } from './targets.js';

const TIME_LIMIT = 1.08;
const BYTES_LIMIT = 1.035;

const WAYS = ['parity', 'without'] as const;
type Way = (typeof WAYS)[number];

/** Measures what parity costs: first backups in pairs, one with the usual parity and one with none. */
export async function parity(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  const size = await bench.makeTree();
  const times: Record<Way, number[]> = { parity: [], without: [] };
  const bytes: Record<Way, number[]> = { parity: [], without: [] };
  const place = workplace.freshPlace('tardis');
  const { argv, ...more } = commandOf('first', bench, place);
  const config = join(workplace.root, 'without.cfg');
  writeFileSync(config, '[Tardis]\nParity = 0\n');
  await rest();
  await bench.inPairs(WAYS, async (way, round) => {
    const settings = way === 'without' ? ['--local-config', config] : [];
    const { wallMs } = await bench.run({ ...more, argv: [...argv, ...settings] });
    times[way].push(wallMs);
    bytes[way].push(bytesBelow(place.store));
    rmSync(place.store, { recursive: true });
    print(`${bench.roundName(round)}: ${way}: ${seconds(wallMs)} s`);
  });
  const about = `${treeLine(size)}, on ${workplace.fileSystem}; medians of ${options.runs}`;
  const there = await bucketParity(bench);
  return answer(times, bytes, about, there);
}

function answer(
  times: Record<Way, number[]>,
  bytes: Record<Way, number[]>,
  about: string,
  there: BucketParity,
): Answer {
  const { puts, damages, notHealed } = there;
  const ratio = (of: BucketParity['times']): number | undefined =>
    ratioOf(of.parity, of.without)?.pairwise;
  const mebibytes = (all: readonly number[]): string => (median(all) / 2 ** 20).toFixed(1);
  const timeRow = (what: string, of: BucketParity['times']): string[] => [
    what,
    's',
    ...WAYS.map((way) => seconds(median(of[way]))),
    shownRatio(ratio(of), 3),
  ];
  const bytesRow = (what: string, of: BucketParity['bytes']): string[] => [
    what,
    'MiB',
    ...WAYS.map((way) => mebibytes(of[way])),
    shownRatio(ratio(of), 3),
  ];
  const bars = WAYS.map((way) => ({ label: way, value: median(times[way]) / 1000 }));
  const first = { label: 'first', bars };
  return {
    question: 'parity',
    about: `a first backup with parity, and one without; ${about}`,
    headings: ['what', '', 'parity', 'without', 'ratio'],
    rows: [
      timeRow('first', times),
      bytesRow('store', bytes),
      timeRow('first, into a bucket', there.times),
      bytesRow('bucket', there.bytes),
      ['PUT, into a bucket', '', ...WAYS.map((way) => String(puts[way])), ''],
      [`objects not healed of ${damages} damages`, '', String(notHealed), '', ''],
    ],
    verdicts: [
      verdictOf('first, with parity, times without', TIME_LIMIT, ratio(times)),
      verdictOf('bytes of the store, times without', BYTES_LIMIT, ratio(bytes)),
      verdictOf('first into a bucket, times without', TIME_LIMIT, ratio(there.times)),
      verdictOf('bytes of the bucket, times without', BYTES_LIMIT, ratio(there.bytes)),
      verdictOf('objects of a bucket not healed', 0, notHealed),
      verdictOf('PUT more with parity', 0, puts.parity - puts.without),
    ],
    notes: [
      'a ratio is the median of pairs; a pair is two backups one after the other',
      'the bucket is at a server in this process; parity there is --parity 3',
    ],
    figures: { times, bytes, there },
    plots: [
      { name: 'parity', svg: barChart({ title: 'What parity costs', unit: 's', groups: [first] }) },
    ],
  };
}
