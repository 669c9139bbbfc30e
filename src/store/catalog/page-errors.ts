/** Errors for a catalog whose pages are not as they were written. */
import { TardisError } from '../../errors/index.js';

/** Returns the error for damaged pages. */
export function pagesDamaged(catalogPath: string, pages: number): TardisError {
  return damaged(catalogPath, `${pagesOfIt(pages, 'is', 'are')} not as written`);
}

/** Returns the error for a catalog with the log of another one beside it. */
export function logOfAnother(catalogPath: string, pages: number): TardisError {
  const why = `not what the log ${catalogPath}-wal was written for: another file was put in its place`;
  return damaged(catalogPath, `${pagesOfIt(pages, 'is', 'are')} ${why}`);
}

/** Returns the error for a catalog with seals that another program has changed. */
export function pagesChanged(catalogPath: string, pages: number): TardisError {
  return damaged(catalogPath, `${pagesOfIt(pages, 'was', 'were')} changed by another program`);
}

function pagesOfIt(pages: number, is: string, are: string): string {
  return pages === 1 ? `a page of it ${is}` : `${pages} pages of it ${are}`;
}

function damaged(catalogPath: string, why: string): TardisError {
  return new TardisError('CATALOG_DAMAGED', `${catalogPath}: ${why}`);
}
