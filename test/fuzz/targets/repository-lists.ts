/** The words of restic and Borg about an archive, which decide what is removed from the directory that shows it. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Borg, BorgItems, Programs, Restic, StatePlace } from '../../../src/import/index.js';
import { must, type Target } from '../engine/target.js';
import { scratchFolder } from '../samples/scratch.js';

/** Prints an input in place of a program. */
class Printing extends Programs {
  printed: Buffer = Buffer.alloc(0);

  constructor() {
    super(new AbortController().signal);
  }

  override async run({ take }: Parameters<Programs['run']>[0]): Promise<string> {
    take?.(this.printed);
    return this.printed.toString();
  }
}

const elsewhere = scratchFolder();
const place = new StatePlace();
process.on('exit', () => place[Symbol.dispose]());
const programs = new Printing();
const restic = new Restic('R', programs);
const borg = new Borg('B', programs);

/** Fills the directory: a link leads out of it, to a file that nothing may remove. */
function fill(): void {
  writeFileSync(path.join(elsewhere, 'kept'), '');
  const top = place.directory.toString();
  if (readdirSync(top).length === 3) return;
  place.empty();
  mkdirSync(path.join(top, 'dir/deep'), { recursive: true });
  writeFileSync(path.join(top, 'dir/deep/file'), '');
  writeFileSync(path.join(top, 'file'), '');
  symlinkSync(elsewhere, path.join(top, 'out'));
}

const ITEM = (name: string): string =>
  `{\n    "_items": [\n    {\n        "mode": 33188,\n        "path": "${name}"\n    }\n    ]\n}\n`;
const CHANGE = (name: string): string =>
  `${JSON.stringify({ message_type: 'change', path: name, modifier: 'M' })}\n`;
const ARCHIVES = [
  { id: 'a', time: '2024-01-01T00:00:00Z', hostname: 'h', paths: ['/x'] },
  { name: 'a', start: '2024-01-01T00:00:00.000000', hostname: 'h' },
];

export const target: Target = {
  about: 'lists that restic and Borg print: read or refused, and nothing outside is removed',
  seeds: () => [
    ...['/dir/deep/file', '/out/kept', '/file', '/dir/../../kept'].flatMap((name) => [
      Buffer.from(`0${CHANGE(name)}`),
      Buffer.from(`1${ITEM(name.slice(1))}`),
    ]),
    Buffer.from(`2${JSON.stringify({ archives: ARCHIVES })}`),
    Buffer.from(`3${JSON.stringify(ARCHIVES)}`),
  ],
  fuzz: async (data) => {
    fill();
    const kind = (data[0] ?? 0) % 4;
    programs.printed = data.subarray(1);
    const read = [
      async () => restic.change({ from: 'a', to: 'b' }, place),
      async () => {
        const items = new BorgItems();
        items.push(programs.printed);
        items.end();
        return place.remove(items.roots().map((one) => Buffer.from(one, 'latin1')));
      },
      async () => borg.archivesIn(JSON.parse(programs.printed.toString())).length,
      async () => restic.archivesIn(JSON.parse(programs.printed.toString())).length,
    ][kind]!;
    let word: string;
    try {
      word = String(await read());
    } catch (error) {
      must(error instanceof Error && !(error instanceof RangeError), String(error));
      word = error.name; // the caller reports each as a source that is damaged
    }
    must(readdirSync(elsewhere).join() === 'kept', 'what is elsewhere stays');
    return `${kind} ${word}`;
  },
  tokens: [
    '..',
    '/',
    '\\u0000',
    'change',
    '"modifier":"T"',
    '\x7fff',
    '�',
    '    },\n',
    'hardlink_master',
  ],
};
