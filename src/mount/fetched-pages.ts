/** Fetches pages of directories as the catalog packs them. */
import { type FetchedPage, type History, packedPagesIn } from '../history/index.js';

type RequestedPages = Parameters<NonNullable<History['listPacked']>>[0];

/** Returns a page for each directory; none if the history has no packed pages or an error, which `list` then reports. */
export function fetchPages(history: History, requested: RequestedPages): FetchedPage[] {
  let value: Buffer | undefined;
  try {
    value = history.listPacked?.(requested);
  } catch {
    return []; // `list` reports the error
  }
  const pages = value === undefined ? [] : packedPagesIn(value);
  return pages.length === requested.directories.length ? pages : [];
}
