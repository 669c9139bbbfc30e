/** Rules for the documents: links lead somewhere, the first page is short, and so are sentences. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { filesOfHouse, ROOT } from './house.js';

const MAX_README_LINES = 90;
const MAX_SENTENCE_WORDS = 35;

const documents = filesOfHouse().filter((file) => file.endsWith('.md'));

/** Returns the text of a document without its blocks of code. */
function prose(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8').replaceAll(/^( *```).*?^\1$/gms, '');
}

/** Returns the names by which links reach the headings of a document. */
function anchors(file: string): Set<string> {
  const headings = prose(file).matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, text = '']) =>
      text
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Returns the links of a document that lead to no file or heading. */
function deadLinks(file: string): string[] {
  const links = [...prose(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [name = '', anchor] = link.split('#');
    const target = name === '' ? file : path.posix.join(path.posix.dirname(file), name);
    if (!existsSync(path.join(ROOT, target))) return true;
    return anchor !== undefined && target.endsWith('.md') && !anchors(target).has(anchor);
  });
}

/** Returns the sentences of a document, without its tables, the targets of links, and marks. A word of code is one word. */
function sentences(file: string): string[] {
  return prose(file)
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/<!--.*?-->/gs, '')
    .replaceAll(/`[^`]*`/g, 'code')
    .replaceAll(/^ *\|.*$/gm, '\n')
    .split(/(?<=[.!?:;])\s|\n\s*\n|\n *(?:-|\d+\.) |\n#.*/)
    .map((sentence) => sentence.trim());
}

test('each link in a document leads to a file, and to a heading that is there', (t) => {
  t.deepEqual(
    documents.flatMap((file) => deadLinks(file).map((link) => `${file}: ${link}`)),
    [],
  );
});

test('the first page is short, and so is each sentence of the documents', (t) => {
  const lines = readFileSync(path.join(ROOT, 'README.md'), 'utf8').split('\n').length - 1;
  t.true(lines <= MAX_README_LINES, `README.md has ${lines} lines`);
  const long = documents.flatMap((file) =>
    sentences(file)
      .filter((sentence) => sentence.split(/\s+/).length > MAX_SENTENCE_WORDS)
      .map((sentence) => `${file}: ${sentence}`),
  );
  t.deepEqual(long, []);
});
