export { PIPELINE_OPTIONS } from './pipeline.js';
export { DEFAULT_PORT, DEFAULT_STORE, SERVER_OPTIONS } from './server.js';
export {
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  resolveOptions,
  type ValueSources,
} from './table.js';
export { parseSize, parseValue } from './values.js';
