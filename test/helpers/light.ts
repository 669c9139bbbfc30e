/** The cheapest parameters that a key record may have, for tests that make many. */
import type { StretchParameters } from '../../src/crypto/index.js';

export const LIGHT: StretchParameters = { logN: 14, r: 8, p: 1 };
