import test from 'ava';
import { passwordStrength } from '../../src/crypto/index.js';

const rated = (password: string): string => passwordStrength(Buffer.from(password)).word;

test('what guessers try first is weak', (t) => {
  for (const password of [
    'a',
    'password',
    'Password1',
    'P@ssw0rd!',
    'qwertyuiop',
    '123456789',
    'aaaaaaaaaaaaaaaaaaaa',
    'abcabcabcabc',
    'summer2019',
    'tardis1963',
  ]) {
    t.regex(rated(password), /weak/, password);
  }
});

test('long or random ones are not', (t) => {
  t.is(rated('k7$Qz!v9@Lw2#Tf6'), 'strong');
  t.is(rated('mulch-otter-ravine-kelp-sundry'), 'strong');
  t.regex(rated('tR4v8xQp'), /fair|good/);
});

test('more of anything never makes a password weaker', (t) => {
  let before = 0;
  for (const password of ['x', 'xk', 'xk9', 'xk9password', 'xk9password7', 'xk9password7Q!v']) {
    const { bits } = passwordStrength(Buffer.from(password));
    t.true(bits >= before, password);
    before = bits;
  }
  t.notThrows(() => passwordStrength(Buffer.alloc(100_000, 0xfe)));
});
