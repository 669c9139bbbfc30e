// Loads the sanitized build of the addon in place of the usual one, in each thread that requires this (`test-native.mjs`).
const { join } = require('node:path');

const USUAL = join(__dirname, '../native/build/Release/tardis_native.node');
const SANITIZED = join(__dirname, '../dist/sanitized/build/Release/tardis_native.node');

const load = process.dlopen.bind(process);
process.dlopen = (module, file, ...flags) =>
  load(module, file === USUAL ? SANITIZED : file, ...flags);
