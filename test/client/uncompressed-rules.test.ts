/** Files that are stored uncompressed. */
import test from 'ava';
import { rawRules } from '../../src/client/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { scratch, written } from '../helpers/scratch.js';

const rules = (types: string[], file?: string) =>
  rawRules({ types, file: file === undefined ? undefined : Buffer.from(file), belowBytes: 200 });

test('an ending is taken as it is, in small letters', async (t) => {
  t.deepEqual(await rules(['.ISO', '.tar.Gz']), { endings: ['iso', 'tar.gz'], belowBytes: 200 });
});

test('a MIME type stands for its endings, and one with a star for those of many types', async (t) => {
  const { endings } = await rules(['image/jpeg']);
  t.true(endings.includes('jpg') && endings.includes('jpeg'));
  t.false(endings.includes('png'));
  const { endings: images } = await rules(['Image/*']);
  t.true(['jpg', 'png', 'gif'].every((ending) => images.includes(ending)));
  t.false(images.includes('mp4'));
  t.is(new Set(images).size, images.length, 'each once');
});

test('a type without an ending is refused, so that no wrong word goes unseen', async (t) => {
  for (const word of ['iso', 'image/none', 'nothing/*']) {
    t.is(await rejectedCode(rules([word])), 'CONFIG_INVALID', word);
  }
});

test('the words of a file count as well; a file that cannot be read is refused', async (t) => {
  const file = written(scratch(t), 'words', '# a comment\n.one\n.two\n');
  t.deepEqual((await rules(['.zero'], file)).endings, ['zero', 'one', 'two']);
  t.is(await rejectedCode(rules([], `${file}.none`)), 'CONFIG_INVALID');
});
