/**
 * Paths in the form of the API: absolute, with each byte of a name that is not a plain character as `%XX`. The page
 * keeps paths in this form, since names may not be text.
 */

/** A name as the API gives it. */
export interface Named {
  readonly name: string;
  /** The bytes in base64, only if the name is no UTF-8. */
  readonly nameBytes?: string | undefined;
}

/** Returns a name as an encoded segment of a path. */
export function segmentOf({ name, nameBytes }: Named): string {
  if (nameBytes === undefined) return encodeURIComponent(name);
  const bytes = Uint8Array.from(atob(nameBytes), (char) => char.charCodeAt(0));
  return Array.from(bytes, encodeByte).join('');
}

function encodeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  if (/[A-Za-z0-9._~-]/.test(char)) return char;
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Returns the encoded form of an absolute path, which is given as text or as bytes in base64. */
export function pathOf(path: string, pathBytes?: string): string {
  const segment = segmentOf({ name: path, nameBytes: pathBytes });
  return segment.replaceAll('%2F', '/');
}

export function joinPath(directory: string, segment: string): string {
  return directory === '/' ? `/${segment}` : `${directory}/${segment}`;
}

/** Returns the directory of a path; undefined for the top. */
export function parentOf(path: string): string | undefined {
  if (path === '/') return undefined;
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** Returns the last segment of a path; empty for the top. */
export function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Returns the name of a path's last part, as text. */
export function nameOf(path: string): string {
  return textOf(lastSegment(path));
}

/** Returns a path and every directory above it, from `/` down, each with its own last segment (empty for `/`). */
export function crumbsOf(path: string): { readonly path: string; readonly segment: string }[] {
  const crumbs = [{ path: '/', segment: '' }];
  for (const segment of path.split('/')) {
    if (segment !== '') crumbs.push({ path: joinPath(crumbs.at(-1)!.path, segment), segment });
  }
  return crumbs;
}

/** True if a path is at a directory or below it. */
export function isBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

/** Returns a path, or a part of one, as text; bytes that are no UTF-8 become U+FFFD. */
export function textOf(path: string): string {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [part] of path.matchAll(/%[0-9A-Fa-f]{2}|[^%]+|%/g)) {
    if (/^%[0-9A-Fa-f]{2}$/.test(part)) bytes.push(Number.parseInt(part.slice(1), 16));
    else bytes.push(...encoder.encode(part));
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** Returns the encoded form of a typed path, which is text and begins at the top. */
export function pathFromText(text: string): string {
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.');
  return `/${segments.map(encodeURIComponent).join('/')}`;
}

/**
 * Returns the segments that a directory above the roots contains; undefined if the directory is a root or is below a
 * root.
 */
export function aboveRoots(path: string, roots: readonly string[]): string[] | undefined {
  if (roots.some((root) => isBelow(path, root))) return undefined;
  const below = roots.filter((root) => isBelow(root, path));
  const start = path === '/' ? 1 : path.length + 1;
  return [...new Set(below.map((root) => root.slice(start).split('/')[0] ?? ''))].sort();
}

/** Returns the directory to show first: the only root, or the deepest directory above all roots. */
export function startingPath(roots: readonly string[]): string {
  const [only] = roots;
  if (roots.length === 1 && only !== undefined) return only;
  let path = '/';
  for (;;) {
    const segments = aboveRoots(path, roots);
    if (segments?.length !== 1) return path;
    const next = joinPath(path, segments[0]!);
    if (roots.includes(next)) return path;
    path = next;
  }
}
