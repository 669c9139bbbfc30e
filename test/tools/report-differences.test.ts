/** Differences between two versions of a tree, as text and as JSON. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { type Entry, EntryType, packAttributes } from '../../src/model/index.js';
import type { Difference, Seen } from '../../src/restore/diff/index.js';
import {
  aspectsText,
  jsonDifference,
  jsonNotCompared,
  kindOf,
  sizeOf,
} from '../../src/tools/index.js';
import { entryOf } from '../helpers/rows.js';

const ENTRY = entryOf('name', { uid: 1, gid: 2, sizeBytes: 5 });

function seen(changes: Partial<Entry> = {}, path: Buffer = Buffer.from('/a')): Seen {
  return { path, entry: { ...ENTRY, ...changes }, stored: undefined };
}

function changed(
  before: Partial<Entry>,
  after: Partial<Entry>,
  ...aspects: Difference['aspects']
): Difference {
  return { path: Buffer.from('/a'), before: seen(before), after: seen(after), aspects };
}

const textOf = (difference: Difference): string => aspectsText(difference, () => true);

test('what only one side has is added or removed', (t) => {
  const one = { path: Buffer.from('/a'), aspects: [] };
  t.is(kindOf({ ...one, before: undefined, after: seen() }), 'added');
  t.is(kindOf({ ...one, before: seen(), after: undefined }), 'removed');
  t.is(kindOf(changed({}, {})), 'changed');
  t.is(textOf({ ...one, before: undefined, after: seen() }), '');
});

test('aspects have their values before and after, in their order', (t) => {
  const both = changed(
    {},
    { permissions: 0o4755, uid: 0, gid: 7 },
    'owner',
    'permissions',
    'content',
  );
  t.is(textOf(both), 'owner 1:2 → 0:7, permissions 0644 → 4755, content');
  t.is(
    aspectsText(both, (aspect) => aspect === 'content'),
    'content',
  );
  const kinds = changed({}, { type: EntryType.symlink }, 'type');
  t.is(textOf(kinds), 'type file → symbolic link');
  t.is(textOf(changed({}, { type: 99 as Entry['type'] }, 'type')), 'type file → unknown');
});

test('values that look equal are not repeated', (t) => {
  t.is(textOf(changed({}, { mtimeNs: ENTRY.mtimeNs + 1n }, 'time')), 'time');
});

test('a link target and names of attributes cannot write to the terminal', (t) => {
  const target = changed({}, { linkTarget: Buffer.from('a\u001b]0;x\u0007\nb') }, 'target');
  const value = Buffer.from('secret value');
  const attributes = packAttributes([{ name: Buffer.from('user.\u001b[2J'), value }]);
  const named = changed({}, { attributes }, 'attributes');
  for (const text of [textOf(target), textOf(named)]) {
    // eslint-disable-next-line no-control-regex -- these are the characters that must be absent
    t.notRegex(text, /[\u0000-\u001f]/);
  }
  t.regex(textOf(named), /^attributes none → user\./);
  t.false(textOf(named).includes('secret'));
});

test('only files have a size', (t) => {
  t.is(sizeOf(seen()), 5);
  t.is(sizeOf(seen({ type: EntryType.directory })), 0);
  t.is(sizeOf(undefined), 0);
});

test('a line of JSON has exact times and bytes, also of names that are not UTF-8', (t) => {
  const path = Buffer.from([0x2f, 0xff]);
  const difference = { ...changed({}, { sizeBytes: 6 }, 'content'), path };
  const json = JSON.parse(jsonDifference(difference, { more: 1 })) as Record<string, unknown>;
  t.like(json, { kind: 'changed', aspects: ['content'], more: 1 });
  t.like(json['before'], { type: 'file', mtimeNs: '1700000000123456789', sizeBytes: 5 });
  t.like(json['after'], { sizeBytes: 6, permissions: '0644' });
  t.true(JSON.stringify(json).includes(path.toString('base64')));
  const error = new TardisError('NO_ACCESS', 'no');
  t.like(JSON.parse(jsonNotCompared({ path, error })), {
    kind: 'notCompared',
    error: { code: 'NO_ACCESS', message: 'no' },
  });
});
