/**
 * What chance decides in a run of the tests: TARDIS_TEST_SEED replays one. `.ci/run` takes the commit for it, so
 * that each commit meets other chances, and the same one the same again.
 */
export const seed = Number(
  process.env['TARDIS_TEST_SEED'] ?? Math.floor(Math.random() * 1_000_000),
);
