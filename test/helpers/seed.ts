/**
 * The seed of all random choices in a run of the tests; TEST_SEED replays a run. `.ci/run` derives it from the
 * commit, so that each commit gets other choices, and the same commit the same. The name must not begin with
 * TARDIS_, because the tools refuse unknown variables of that prefix.
 */
export const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1_000_000));
