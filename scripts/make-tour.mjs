// Takes the tour (test/helpers/tour.ts) and writes it down: node scripts/make-tour.mjs   (build first)
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { takeTour, tourDocument } from '../dist/test/helpers/tour.js';
import { makeScratch, removeScratch } from '../dist/test/helpers/scratch.js';

/** The tour of a test takes less memory; the document shows the default. */
const USUAL = { TARDIS_PASSWORD_MEMORY: '128M' };

const target = fileURLToPath(new URL('../docs/using/tour.md', import.meta.url));
const home = fs.realpathSync(makeScratch());
try {
  fs.writeFileSync(target, tourDocument(await takeTour(home, undefined, USUAL)));
  console.log('docs/using/tour.md: written');
} finally {
  removeScratch(home);
}
