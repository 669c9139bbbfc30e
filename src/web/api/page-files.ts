/** Serves the files of the page, which the build writes beside the program. They contain nothing secret. */
import { createHash } from 'node:crypto';
import type { WebApp } from './web-app.js';

/** The files and their media types, by URL; the page itself is at `/`. */
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
  '/languages/de.json': ['languages/de.json', 'application/json'],
  '/languages/fr.json': ['languages/fr.json', 'application/json'],
} as const;

export const PAGE_URLS: ReadonlySet<string> = new Set(Object.keys(FILES));

/** Security policy that lets the page load its own script and style, and nothing from other places. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const PAGE_GUARDS: Readonly<Record<string, string>> = {
  'content-security-policy': PAGE_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

interface PageFile {
  readonly url: string;
  readonly type: string;
  readonly bytes: Buffer;
}

/** Returns the files of the page. `read` returns the bytes of a file by its name. */
export function pageFiles(read: (name: string) => Buffer): PageFile[] {
  return Object.entries(FILES).map(([url, [name, type]]) => ({ url, type, bytes: read(name) }));
}

/** Adds the files to an app. */
export function addPageFiles(app: WebApp, files: readonly PageFile[]): void {
  for (const { url, type, bytes } of files) {
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    app.get(url, async (request, reply) => {
      void reply.headers({ ...PAGE_GUARDS, 'cache-control': 'no-cache', etag });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(type).send(bytes);
    });
  }
}
