/** The names at which pages of directories begin: each page begins after the last name of the page before. */
const NOTHING = Buffer.alloc(0);

export class PageStarts {
  /** For each directory with several pages: the names after which its pages begin, from the second page on. */
  private readonly names = new Map<number, Buffer[]>();

  /** Returns the name after which a page begins; undefined if the page before was never read. */
  of(directory: number, page: number): Buffer | undefined {
    return page === 0 ? NOTHING : this.names.get(directory)?.[page - 1];
  }

  /** Returns the number of the first page whose beginning is unknown. */
  firstUnknown(directory: number): number {
    return (this.names.get(directory)?.length ?? 0) + 1;
  }

  note(directory: number, page: number, name: Buffer): void {
    const names = this.names.get(directory) ?? [];
    this.names.set(directory, names);
    names[page - 1] ??= name;
  }

  /** Returns the last known page that begins before a name. */
  pageFor(directory: number, name: Buffer): number {
    const names = this.names.get(directory);
    if (names === undefined) return 0;
    let number = 0;
    while (number < names.length && Buffer.compare(names[number]!, name) < 0) number += 1;
    return number;
  }

  clear(): void {
    this.names.clear();
  }
}
