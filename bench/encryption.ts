import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { seconds } from './cells.js';
import { median, ratioOf } from './figures.js';
import { makeTree, treeLine } from './make-tree.js';
import { measure } from './measure.js';
import type { Options } from './options.js';
import { barChart } from './plot.js';
import { rest } from './rest.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';
import type { Workplace } from './workplace.js';

const RATIO_LIMIT = 1.1;

const KINDS = ['first', 'unchanged', 'restore'] as const;
type Kind = (typeof KINDS)[number];

/** The clients in the order of their turns. Index i of the lists is round i. */
const CLIENTS = ['open', 'password', 'encrypted'] as const;
type Client = (typeof CLIENTS)[number];
type Times = Record<Client, Record<Kind, number[]>>;

/**
 * Memory needed to derive the keys from a password. It is fixed, so that figures do not depend on the default of a
 * profile.
 */
const LOGIN = ['--password-memory', '32M'];

const CREATE: Readonly<Record<Client, readonly string[]>> = {
  open: ['--create'],
  password: ['--create', '--no-crypt', ...LOGIN],
  encrypted: ['--create', ...LOGIN],
};

/**
 * Measures the cost of encryption: a first backup, an unchanged one and a restore. Three clients take turns: one
 * without a password, one with a password only, and one that encrypts.
 */
export async function encryption(
  workplace: Workplace,
  checkout: string,
  options: Options,
  print: (line: string) => void,
): Promise<Answer> {
  const size = await makeTree(workplace, options, print);
  const secret = join(workplace.root, 'password');
  writeFileSync(secret, 'a password of the bench\n');
  const none = (): Record<Kind, number[]> => ({ first: [], unchanged: [], restore: [] });
  const times: Times = { open: none(), password: none(), encrypted: none() };
  const run = async (tool: string, args: readonly string[]): Promise<number> => {
    const argv = [join(checkout, 'bin', tool), ...args] as const;
    const { root, log } = workplace;
    return (await measure({ argv, env: confinedTo(root) }, { logFile: log })).wallMs;
  };
  await rest();
  for (let round = 0; round < options.runs; round++) {
    // Each client is the first one in a third of the rounds.
    const turns = CLIENTS.map((_client, index) => CLIENTS[(index + round) % CLIENTS.length]!);
    for (const client of turns) {
      const store = join(workplace.root, 'store');
      const out = join(workplace.root, 'out');
      mkdirSync(out);
      const place = ['-D', store, '-C', client, ...(client === 'open' ? [] : ['-F', secret])];
      const took = times[client];
      const { tree } = workplace;
      took.first.push(await run('tardis', [...place, '--local', ...CREATE[client], tree]));
      took.unchanged.push(await run('tardis', [...place, '--local', tree]));
      took.restore.push(await run('regenerate', [...place, '-o', out, tree]));
      rmSync(store, { recursive: true });
      rmSync(out, { recursive: true });
      const reported = KINDS.map((kind) => `${kind} ${seconds(took[kind].at(-1))} s`).join(', ');
      print(`round ${round + 1}/${options.runs}: ${client}: ${reported}`);
    }
  }
  return answer(times, `${treeLine(size)}; medians of ${options.runs}`);
}

function answer(times: Times, about: string): Answer {
  const ratio = (kind: Kind, other: Client): ReturnType<typeof ratioOf> =>
    ratioOf(times.encrypted[kind], times[other][kind]);
  return {
    question: 'encryption',
    about: `a client without a password, one with a password only, one that encrypts, logins of 32 MiB; ${about}`,
    headings: ['what', '', 'open: s', 'password: s', 'encrypted: s', 'of password', 'of open'],
    rows: KINDS.map((kind) => [
      kind,
      '',
      ...CLIENTS.map((client) => seconds(median(times[client][kind]))),
      ratio(kind, 'password')?.pairwise.toFixed(3) ?? '-',
      ratio(kind, 'open')?.pairwise.toFixed(3) ?? '-',
    ]),
    verdicts: KINDS.map((kind) =>
      verdictOf(
        `${kind}, encrypted, times with a password only`,
        RATIO_LIMIT,
        ratio(kind, 'password')?.pairwise,
      ),
    ),
    notes: [
      'ratios are medians of pairs; a password costs one memory-hard call, whether or not it encrypts',
    ],
    figures: times,
    plots: [
      {
        name: 'encryption',
        svg: barChart({
          title: 'What encryption costs',
          unit: 's',
          groups: KINDS.map((kind) => ({
            label: kind,
            bars: CLIENTS.map((client) => ({
              label: client,
              value: median(times[client][kind]) / 1000,
            })),
          })),
        }),
      },
    ],
  };
}
