/**
 * Calls of the addon that only tests make. Each does what another call does on an older system, so that both ways are
 * tested on every machine.
 */
import type { OpenKindNumber } from '../../src/system/native.js';

export interface NativeForms {
  /** Opens a path component by component. `openBeneath` does so on systems without openat2. */
  walkBeneath(rootFd: number, path: Buffer, kind: OpenKindNumber): number;
  /** Reads attributes through /proc, which `attributesAt` does before Linux 6.13. */
  attributesByPath(dirFd: number, name: Buffer, withTime: boolean, limitBytes: number): Buffer;
}
