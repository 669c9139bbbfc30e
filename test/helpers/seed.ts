/**
 * What chance decides in a run of the tests: TEST_SEED replays one. `.ci/run` takes the commit for it, so
 * that each commit meets other chances, and the same one the same again. Its name must not begin with TARDIS_: the
 * tools refuse variables that they do not know.
 */
export const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1_000_000));
