/**
 * MessagePack as the protocol and the store use it: numbers, texts, bytes, lists and maps, but no extension
 * types.
 */
// Loads the library without its addon, which takes 8 ms to load and makes no command faster (measured).
import { addExtension, Packr, RESET_BUFFER_MODE } from 'msgpackr/pack';

/**
 * Extension types that the library decodes: dates, sets, errors, expressions, typed arrays, references, large
 * integers.
 */
const MEANT = [0x42, 0x62, 0x65, 0x69, 0x70, 0x73, 0x74, 0x78, 0xff];

for (const type of MEANT) {
  addExtension({
    type,
    unpack: () => {
      throw new Error(`an extension of type ${type}, which has no meaning here`);
    },
  });
}

/**
 * Returns an encoder of plain maps without records, so that any MessagePack reader can read its output. Its
 * decoder throws on extension types.
 */
export function plainPackr(): Packr {
  return new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
}

/**
 * Option of `pack` for bytes that are copied before this thread encodes anything else: the next call writes over them.
 * Without it, values fill one piece of memory after another, each four times as large as the largest value. Garbage
 * collection frees them, but late: a first backup had 16 MB of them (measured).
 */
export const TEMPORARY: number = RESET_BUFFER_MODE;
