const PAGE_WORDS = 1 << 10;
const PAGE_IDS = 32 * PAGE_WORDS;

/**
 * A set of ids as a bitmap: 1 MiB for 8 million ids. Memory is allocated by pages, so gaps between ids cost
 * little.
 */
export class IdSet {
  private readonly pages: (Uint32Array | undefined)[] = [];

  has(id: number): boolean {
    const page = this.pages[Math.floor(id / PAGE_IDS)];
    if (page === undefined) return false;
    const at = id % PAGE_IDS;
    return (page[at >>> 5]! & (1 << (at & 31))) !== 0;
  }

  add(id: number): void {
    const number = Math.floor(id / PAGE_IDS);
    const page = (this.pages[number] ??= new Uint32Array(PAGE_WORDS));
    const at = id % PAGE_IDS;
    page[at >>> 5]! |= 1 << (at & 31);
  }
}
