/** Compares the file of a catalog with its page checksums. This happens before the catalog is copied, and in checks. */
import { yieldRegularly, type Files, type System } from '../../system/index.js';
import { PageSums } from './page-sums.js';

/** The result of comparing a catalog's pages with their checksums. */
type PagesVerdict =
  /** Every page is as it was written. */
  | { readonly kind: 'right' }
  /**
   * There are no checksums of this state of the catalog: their file is missing or damaged, or another program has
   * written to the catalog.
   */
  | { readonly kind: 'unknown' }
  /** A session began meanwhile, so nothing is known about the pages. */
  | { readonly kind: 'changing' }
  | { readonly kind: 'damaged'; readonly pages: number };

/** Returns a text that is another one after every write to a catalog or its log. */
export function fingerprintOf(files: Files, catalogPath: string): string {
  return ['', '-wal', '-journal']
    .map((suffix) => {
      const status = files.status(catalogPath + suffix);
      return status && `${status.identity} ${status.sizeBytes} ${status.mtimeMs}`;
    })
    .join();
}

/**
 * Reads all of a catalog's file in slices and compares it with the checksums. A log of another file beside the catalog
 * counts as damage. With `mayRemember`, damaged pages are recorded, so that no further session writes to the catalog.
 * `breathe` is called between slices, and may throw.
 */
export async function comparePages(
  { files }: System,
  catalogPath: string,
  mayRemember: boolean,
  breathe: () => Promise<void> | undefined = yieldRegularly(),
): Promise<PagesVerdict> {
  const before = fingerprintOf(files, catalogPath);
  const sums = PageSums.read(files, catalogPath);
  if (sums === undefined) {
    const mixed = PageSums.mixedWithLog(files, catalogPath);
    if (fingerprintOf(files, catalogPath) !== before) return { kind: 'changing' };
    return mixed > 0 ? { kind: 'damaged', pages: mixed } : { kind: 'unknown' };
  }
  const damaged = await sums.compare(breathe);
  if (fingerprintOf(files, catalogPath) !== before) return { kind: 'changing' };
  const pages = damaged.length + sums.knownDamage;
  if (pages === 0) return { kind: 'right' };
  if (mayRemember && sums.knownDamage === 0) sums.noteDamage(damaged);
  return { kind: 'damaged', pages: Math.max(damaged.length, sums.knownDamage) };
}

/**
 * Computes new checksums for a catalog that a check found intact. Returns false if it has changed since
 * `fingerprint` was taken. The caller must hold the client's lock.
 */
export function believePages({ files }: System, catalogPath: string, fingerprint: string): boolean {
  if (fingerprintOf(files, catalogPath) !== fingerprint) return false;
  PageSums.takeAll(files, catalogPath);
  return true;
}
