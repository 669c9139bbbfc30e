/** Entries that cannot be restored: the note in an archive that names them, and contents that are located one by one. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import type { History, HistoryEntry } from '../../src/history/index.js';
import { contentIdOf } from '../../src/model/index.js';
import { locateEach, MissingNote, missingText } from '../../src/restore/index.js';
import { rejectedCode } from '../helpers/codes.js';

test('the note of an archive never has the name of another entry', (t) => {
  const usual = 'MISSING-FROM-THIS-ARCHIVE.txt';
  const note = new MissingNote();
  note.meet(Buffer.from(`below/${usual}`));
  note.meet(Buffer.from(`${usual}.gz`));
  t.is(note.name.toString(), usual);
  note.meet(Buffer.from(usual.toLowerCase())); // one name on a file system that folds case
  t.regex(note.name.toString(), /^MISSING-FROM-THIS-ARCHIVE-[0-9a-f]{16}\.txt$/);
  t.not(note.name.toString(), note.name.toString());
});

test('the note names each entry on one line, and counts those beyond its limit', (t) => {
  const failure = (path: string) => ({
    digest: undefined,
    path: Buffer.from(path),
    error: new TardisError('RECORD_DAMAGED', 'it is damaged'),
  });
  const one = missingText([failure('/a\nb')]).toString();
  t.regex(one, /^An entry is missing/);
  t.is(one.split('\n').length, 4); // heading, empty line, the entry, and the end
  t.regex(one, /\[RECORD_DAMAGED\]\n$/);
  const many = missingText(Array.from({ length: 10_002 }, (_, index) => failure(`/${index}`)));
  t.regex(many.toString(), /^10002 entries are missing/);
  t.regex(many.toString(), /\n… and 2 more\n$/);
});

test('a file without a valid location keeps no other file from being located', async (t) => {
  const entries = [1, 2, 3].map((id) => ({ contentId: contentIdOf(id) }));
  const damaged = new TardisError('CATALOG_DAMAGED', 'no location');
  const historyWith = (fails: (contentId: number | undefined) => Error | undefined): History =>
    ({
      locate: async (all: readonly HistoryEntry[]) =>
        all.map(({ contentId }) => {
          const failure = fails(contentId);
          if (failure !== undefined) throw failure;
          return { contentId };
        }),
    }) as unknown as History;
  const sound = await locateEach(
    historyWith(() => undefined),
    entries,
  );
  t.deepEqual(sound as unknown, [{ contentId: 1 }, { contentId: 2 }, { contentId: 3 }]);
  const one = await locateEach(
    historyWith((id) => (id === 2 ? damaged : undefined)),
    entries,
  );
  t.deepEqual(one as unknown, [{ contentId: 1 }, damaged, { contentId: 3 }]);
  const lost = new TardisError('CONNECTION_LOST', 'lost');
  const failing = locateEach(
    historyWith((id) => (id === 2 ? lost : undefined)),
    entries,
  );
  t.is(await rejectedCode(failing), 'CONNECTION_LOST');
});
