/** Catalogs of earlier releases at a server, and `sonic upgrade`. The later release is this one with injected steps. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { ERROR_TABLE } from '../../src/errors/index.js';
import { CATALOG_VERSION, catalogVersion } from '../../src/store/catalog/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { upgradeCatalog } from '../../src/store/writer/index.js';
import { rejectedCode } from '../helpers/codes.js';
import {
  backupInline,
  inlineLab,
  type InlineServer,
  inlineSystem,
  SMALL_STORE,
} from '../helpers/inline.js';
import { LATER_STEPS, laterSystem } from '../helpers/later-catalogs.js';
import { dumpedHistory } from '../helpers/rewrites.js';
import { file } from '../helpers/tree.js';

const later = laterSystem();
const NEWEST = CATALOG_VERSION + LATER_STEPS.length;

function backupLater(
  t: Awaited<ReturnType<typeof lab>>,
  options: InlineServer = {},
): Promise<unknown> {
  return backupInline(inlineSystem({ catalogSteps: LATER_STEPS }), t.place, [t.source], options);
}

/** Makes a store with one backup by this release. */
async function lab(t: ExecutionContext) {
  const { place, source, backup } = inlineLab(t, [file('a', 'a'), file('b', 'b')]);
  await backup();
  const directory = openClientDirectory(later, place);
  const { catalogPath } = directory;
  return { source, place, directory, catalogPath };
}

/** A server with `AllowSchemaUpgrades = no`. */
const STRICT: InlineServer = {
  storage: { ...SMALL_STORE, store: { ...SMALL_STORE.store, mayUpgrade: false } },
};

test('a server without AllowSchemaUpgrades leaves an older catalog unchanged, and gives advice', async (t) => {
  const made = await lab(t);
  const { place, directory, catalogPath } = made;
  const before = fs.readFileSync(catalogPath);
  const reported = await dumpedHistory(place);
  t.is(await rejectedCode(backupLater(made, STRICT)), 'CATALOG_OLDER');
  t.regex(ERROR_TABLE.CATALOG_OLDER.guidance, /sonic upgrade .*AllowSchemaUpgrades/);
  t.deepEqual(await dumpedHistory(place, later), reported, 'it is read as it is');
  const { store: limits } = SMALL_STORE;
  t.deepEqual(await upgradeCatalog(later, directory, limits, true), {
    from: CATALOG_VERSION,
    to: NEWEST,
    isDone: false,
  });
  t.true(fs.readFileSync(catalogPath).equals(before));
  t.like(await upgradeCatalog(later, directory, limits, false), { to: NEWEST, isDone: true });
  t.is(catalogVersion(later, catalogPath), NEWEST);
  t.deepEqual(await dumpedHistory(place, later), reported);
  t.like(await upgradeCatalog(later, directory, limits, false), { from: NEWEST, isDone: false });
  await backupLater(made, STRICT);
  t.true((await dumpedHistory(place, later)).length > reported.length);
});

test('a server upgrades an older catalog at the next backup, and the release before refuses it then', async (t) => {
  const made = await lab(t);
  const reported = await dumpedHistory(made.place);
  await backupLater(made);
  t.is(catalogVersion(later, made.catalogPath), NEWEST);
  const both = await dumpedHistory(made.place, later);
  t.true(both.length > reported.length);
  const refused = backupInline(inlineSystem(), made.place, [made.source]);
  t.is(await rejectedCode(refused), 'CATALOG_NEWER');
  t.deepEqual(await dumpedHistory(made.place, later), both);
});
