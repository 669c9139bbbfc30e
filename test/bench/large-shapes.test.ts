// Pace: slow
/** Shapes of large files: what they share before and after, without a backup. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { largeShapes } from '../../bench/large-shapes.js';
import { scratch } from '../helpers/scratch.js';

const SCALE = 16 / 1024;
const BLOCK_BYTES = 512;

/** Returns the digests of all blocks of all files of a tree. */
function blocksOf(tree: string): Set<string> {
  const blocks = new Set<string>();
  for (const entry of fs.readdirSync(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = fs.readFileSync(path.join(entry.parentPath, entry.name));
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      blocks.add(
        createHash('md5')
          .update(bytes.subarray(at, at + BLOCK_BYTES))
          .digest('base64'),
      );
    }
  }
  return blocks;
}

/** Names of the shapes of which bytes move, so blocks at fixed places do not show what they share. */
const MOVING = ['SQL dump', 'tar'];

for (const [index, { name, addedLimit }] of largeShapes(1, SCALE).entries()) {
  test(`${name}: the same twice, and both states share what the limit expects`, (t) => {
    const trees = [scratch(t), scratch(t)];
    for (const tree of trees) largeShapes(1, SCALE)[index]!.make(tree);
    const [before, again] = [blocksOf(trees[0]!), blocksOf(trees[1]!)];
    t.deepEqual(again, before);
    largeShapes(1, SCALE)[index]!.change(trees[0]!);
    const after = blocksOf(trees[0]!);
    const news = [...after].filter((block) => !before.has(block)).length;
    t.true(news > 0, 'something changed');
    if (MOVING.some((word) => name.includes(word))) return;
    const mostNew = name === 'encrypted anew' ? after.size : addedLimit * 0.6 * after.size;
    t.true(news <= mostNew, `${news} of ${after.size} blocks are new`);
  });
}
