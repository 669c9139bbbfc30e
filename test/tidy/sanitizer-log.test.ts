/** The log of the sanitizers in `npm run test:native`: which of its entries count as faults. */
import test from 'ava';

interface Reader {
  faultsIn(text: string): string[];
}

const script = new URL('../../../scripts/sanitizer-log.mjs', import.meta.url).href;
const { faultsIn } = (await import(script)) as Reader;

const LEAK_OF_NODE = `Direct leak of 24 byte(s) in 1 object(s) allocated from:
    #0 0x7f5 in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x1e1 in CRYPTO_malloc (/usr/bin/node+0x1e1a180)`;
const LEAK = `Direct leak of 77 byte(s) in 1 object(s) allocated from:
    #0 0x7f7 in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f8 in tardis::calls::restoreFiles(tardis::Call const&) ../src/restoring.cc:175`;
const INDIRECT_LEAK = `Indirect leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7f7 in operator new(unsigned long) asan_new_delete.cpp:95
    #1 0x7f8  (/checkout/dist/sanitized/build/Release/tardis_native.node+0x1234)`;
const OVERFLOW = `==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602 at pc 0x7f1
WRITE of size 1 at 0x602 thread T3
    #0 0x7f1 in writeRow ../src/entry.cc:12`;
const UNDEFINED = `../src/gathering.cc:75:16: runtime error: null pointer passed as argument 1`;
const SUMMARY = 'SUMMARY: AddressSanitizer: 101 byte(s) leaked in 2 allocation(s).';

const log = (...blocks: string[]): string => `\n${'='.repeat(65)}\n${blocks.join('\n\n')}\n`;

test('leaks of the addon are found, those of Node.js are not', (t) => {
  const head = '==7==ERROR: LeakSanitizer: detected memory leaks';
  const text = log(head, LEAK_OF_NODE, LEAK, INDIRECT_LEAK, SUMMARY);
  t.deepEqual(faultsIn(text), [LEAK, INDIRECT_LEAK]);
});

test('a fault of memory and undefined behaviour are found, wherever they are', (t) => {
  t.deepEqual(faultsIn(`${OVERFLOW}\n\n${SUMMARY}`), [OVERFLOW]);
  t.deepEqual(faultsIn(UNDEFINED), [UNDEFINED]);
  t.deepEqual(faultsIn(''), []);
});
