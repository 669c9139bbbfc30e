/** Shows the progress of long work as a bar and a percentage. */

const BAR_CHARS = 10;

/** Returns `[####------] 42 %`. If `all` is 0, the work is complete. */
export function progressBar(done: number, all: number): string {
  const share = all <= 0 ? 1 : Math.min(1, done / all);
  const full = Math.floor(share * BAR_CHARS);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_CHARS - full)}] ${Math.floor(share * 100)} %`;
}
