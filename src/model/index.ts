export * from './attributes.js';
export * from './bytes.js';
export * from './digest.js';
export * from './metadata.js';
export * from './names.js';
export * from './release.js';
export * from './row.js';
export * from './sizes.js';
