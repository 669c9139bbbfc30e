// Sets the wall clock of a program ahead by SOAK_SHIFT_MS: node --require scripts/shifted-clock.cjs. Threads load it too.
const shiftMs = Number(process.env.SOAK_SHIFT_MS);
const { now } = Date;
Date.now = () => now() + shiftMs;
