// Pace: slow
/** A mount beside its source: names, metadata and contents of every kind, in one walk and by random operations. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { among, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { type Lab, mounted, rangeOf } from '../helpers/mounted-sets.js';
import { LeftOut } from '../helpers/mounts.js';
import { type Choose, chooser, randomTree } from '../helpers/random-tree.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import { attributesOf, look, makeTree } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const NAMES = 10_000;
const OPERATIONS = 10_000;
const LEAST = 600;
const SEEKS_IN_DIRECTORY = 40;

/** Reads directories of both trees: names are equal, and after a seek the entry of that place is found. */
const SEEKING = `
  my ($seed, $times) = @ARGV;
  srand $seed;
  sub names { opendir my $d, $_[0] or die "$_[0]: $!"; return sort grep { !/^\\.\\.?$/s } readdir $d }
  $/ = "\\0";
  while (defined(my $here = <STDIN>)) {
    my $there = <STDIN>;
    chomp($here, $there);
    print "names of $there\\n" if join('/', names($here)) ne join('/', names($there));
    opendir my $d, $there or die "$there: $!";
    my (@names, @places);
    for (;;) {
      my $at = telldir $d;
      my $name = readdir $d;
      last unless defined $name;
      push @names, $name;
      push @places, $at;
    }
    for (1 .. $times) {
      my $n = int rand @names;
      seekdir $d, $places[$n];
      my $found = readdir $d;
      print "entry $n of $there\\n" unless $found eq $names[$n];
    }
  }
`;

interface Pair {
  readonly here: Buffer;
  readonly there: Buffer;
}

function bytesAt(place: string, below: string): Buffer {
  return Buffer.concat([
    Buffer.from(place),
    Buffer.from(below === '' ? '' : `/${below}`, 'latin1'),
  ]);
}

function statOf(name: Buffer): unknown[] {
  const stat = fs.lstatSync(name, { bigint: true });
  const { mode, size, mtimeNs, ctimeNs, uid, gid, nlink, rdev } = stat;
  if (stat.isDirectory()) return [mode, mtimeNs, ctimeNs, uid, gid];
  return [mode, size, mtimeNs, ctimeNs, uid, gid, nlink, rdev];
}

/** Does one operation in both trees. Returns what differs, or undefined. */
function operation({ here, there }: Pair, choose: Choose): string | undefined {
  const stat = fs.lstatSync(here);
  switch (choose(4)) {
    case 0: {
      const [one, other] = [statOf(here), statOf(there)];
      return one.every((value, index) => value === other[index])
        ? undefined
        : `${one.join()} | ${other.join()}`;
    }
    case 1:
      return attributesOf(here).equals(attributesOf(there)) ? undefined : 'attributes';
    case 2: {
      if (!stat.isSymbolicLink()) return undefined;
      const [one, other] = [here, there].map((name) => fs.readlinkSync(name, 'buffer'));
      return one!.equals(other!) ? undefined : 'target';
    }
    default: {
      if (!stat.isFile()) return undefined;
      const position = choose(stat.size + 100);
      const bytes = 1 + choose([1, 4096, 70_000, 2 << 20][choose(4)]!);
      const isSame = rangeOf(there, position, bytes).equals(rangeOf(here, position, bytes));
      return isSame ? undefined : `${bytes} bytes at ${position}`;
    }
  }
}

function sought(lab: Lab, directories: readonly string[]): string {
  const pairs = directories.flatMap((below) => [
    bytesAt(lab.source, below),
    bytesAt(lab.shown, below),
  ]);
  const input = Buffer.concat(pairs.flatMap((one) => [one, Buffer.alloc(1)]));
  const words = ['perl', '-e', SEEKING, String(seed), String(SEEKS_IN_DIRECTORY)];
  const { status, stdout, stderr } = spawnSync(
    'nsenter',
    [...among(lab.mounts.mountsOf), ...words],
    { input, encoding: 'latin1' },
  );
  if (status === 127) throw new LeftOut('there is no perl');
  return `${stdout}${stderr}`;
}

function compare(t: ExecutionContext, lab: Lab, choose: Choose): void {
  t.is(lab.differences(), '');
  const source = look(lab.source);
  const names = [...source.keys()];
  for (let count = shareOf(OPERATIONS, LEAST); count > 0; count -= 1) {
    const below = names[choose(names.length)]!;
    const there = bytesAt(lab.view('Current', lab.source), below);
    const differs = operation({ here: bytesAt(lab.source, below), there }, choose);
    if (differs === undefined) continue;
    t.fail(`${JSON.stringify(below)}: ${differs} (seed ${seed})`);
    return;
  }
  const directories = names.filter((name) => source.get(name)!.startsWith('directory'));
  t.is(sought(lab, directories), '', `seed ${seed}`);
}

for (const isEncrypting of [false, true]) {
  const client = isEncrypting ? 'a client that encrypts' : 'a plain client';
  test.serial(
    `a mount of ${client} gives what random operations find in the source, here and through a server`,
    mounted(async (lab, t) => {
      const choose = chooser(seed + (isEncrypting ? 1 : 0));
      makeTree(lab.source, randomTree(choose, shareOf(NAMES, LEAST)));
      const password = lab.password('secret words');
      const given = isEncrypting ? ['-F', password] : [];
      await lab.save(given);
      await lab.mountStore(isEncrypting ? `,pwfile=${password}` : '');
      compare(t, lab, choose);
      await lab.unmount();

      await lab.serve(t);
      const login = isEncrypting ? `,pwfile=${password}` : '';
      const far = await lab.mount(`server=${lab.socket},client=me${login}`);
      t.is(far.status, 0, far.stderr);
      compare(t, lab, choose);
    }),
  );
}
