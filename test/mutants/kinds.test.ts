/** Tests of the changes that make mutants. */
import test from 'ava';
import { placesIn, placesInNative } from './kinds.js';

const SOURCE = `
import { type A, b } from './b.js';
enum Level { Low = 1 }
type Pair = [A, 2];
const WAIT_MS = 50; // … && 1 < 2
export async function save(a: Pair, text = 'a && b'): Promise<number> {
  if (a.length < 3) log.info(\`\${text} \${a.length}\`);
  await file.sync();
  void close(a);
  try {
    while (b && more()) text += 1;
  } catch (error) {
    throw error;
  }
  return a.length > 0 ? journal.checkpoint() : a.length - 1;
}
`;

/** Returns each place as its kind, the text that is there, and the text that replaces it. */
function shown(text: string, places: ReturnType<typeof placesInNative>): string[] {
  return places
    .toSorted((one, other) => one.start - other.start || one.end - other.end)
    .map(({ kind, start, end, changed }) => `${kind}: ${text.slice(start, end)} -> ${changed}`);
}

test('each kind of change is made where it matters, and nowhere else', (t) => {
  const [places = [], none] = placesIn([SOURCE, 'export type A = 1 | 2;\n']);
  t.deepEqual(shown(SOURCE, places), [
    'condition turned: a.length < 3 -> !(a.length < 3)',
    'bound moved: < -> <=',
    'bound moved: 3 -> 4',
    'sync skipped: file.sync() -> undefined',
    'call left out: void close(a); -> ;',
    'condition turned: b && more() -> !(b && more())',
    'condition turned: && -> ||',
    'bound moved: 1 -> 2',
    'error swallowed: throw error; -> ;',
    'condition turned: a.length > 0 -> !(a.length > 0)',
    'bound moved: > -> >=',
    'bound moved: 0 -> 1',
    'sync skipped: journal.checkpoint() -> undefined',
    'bound moved:  - 1 -> ',
    'bound moved: 1 -> 2',
  ]);
  t.deepEqual(none, []);
});

const NATIVE = `
#include <vector>
void save(std::vector<int>&& list, int fd) {
  // if (a && b) 1 < 2
  lock.unlock();
  if (fd < 0 && !(done(fd))) throw Failure{errno, "fd < 1 && 2"};
  if (fsync(fd) != 0) return;
}
`;

test('each kind of change is made in C++', (t) => {
  t.deepEqual(shown(NATIVE, placesInNative(NATIVE)), [
    'call left out: lock.unlock(); -> ;',
    'condition turned: fd < 0 && !(done(fd)) -> !(fd < 0 && !(done(fd)))',
    'bound moved: < -> <=',
    'bound moved: 0 -> 1',
    'condition turned: && -> ||',
    'error swallowed: throw Failure{errno, "fd < 1 && 2"}; -> ;',
    'sync skipped: fsync(fd) -> 0',
    'condition turned: fsync(fd) != 0 -> !(fsync(fd) != 0)',
    'bound moved: 0 -> 1',
  ]);
});
