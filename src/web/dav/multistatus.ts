/** Answers of PROPFIND as XML (RFC 4918, 9.1 and 15). */
import type { HistoryEntry } from '../../history/index.js';
import { EntryType } from '../../model/index.js';
import { etagOf, typeOf } from '../api/index.js';
import type { PropertyName, RequestedProperties } from './propfind-body.js';

export const XML_TYPE = 'application/xml; charset=utf-8';
export const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n';
export const MULTISTATUS_START: string = `${XML_HEAD}<D:multistatus xmlns:D="DAV:">\n`;
export const MULTISTATUS_END = '</D:multistatus>\n';
const DAV_NAMESPACE = 'DAV:';
const NS_PER_MS = 1_000_000n;
/** Latest time that an HTTP date can express: years have four digits. */
const MAX_DATE_MS = 253_402_300_799_000;

/** An entry and its URL. */
export interface DavResource {
  readonly href: string;
  readonly entry: HistoryEntry;
}

/**
 * True for an entry that WebDAV shows: a collection, a file, a link (shown as a file that contains its target), or a
 * damaged entry (shown as an error).
 */
export function isShown({ type, damage }: HistoryEntry): boolean {
  const kinds: readonly number[] = [EntryType.file, EntryType.directory, EntryType.symlink];
  return damage !== undefined || kinds.includes(type);
}

/** Returns the values of an entry's properties as XML, by their names in the namespace `DAV:`. */
function valuesOf({ entry }: DavResource): ReadonlyMap<string, string> {
  const { type, name, mtimeNs, sizeBytes, linkTarget } = entry;
  const isCollection = type === EntryType.directory;
  const values = new Map([
    ['resourcetype', isCollection ? '<D:collection/>' : ''],
    ['displayname', escaped(name.toString('utf8'))],
    ['getlastmodified', httpDate(mtimeNs)],
    ['creationdate', new Date(clampedMs(mtimeNs)).toISOString()],
    ['supportedlock', ''],
    ['lockdiscovery', ''],
  ]);
  if (isCollection) return values;
  values.set('getcontentlength', String(linkTarget?.length ?? sizeBytes));
  values.set('getcontenttype', escaped(linkTarget === undefined ? typeOf(name) : LINK_TYPE));
  if (linkTarget === undefined) values.set('getetag', escaped(etagOf(entry)));
  return values;
}

/** The media type of a symbolic link, whose content is its target. */
export const LINK_TYPE = 'inode/symlink';

/** Returns the element `response` of a resource. */
export function responseOf(resource: DavResource, requested: RequestedProperties): string {
  const { href, entry } = resource;
  if (entry.damage !== undefined) {
    return `<D:response><D:href>${href}</D:href>${statusOf('500 Internal Server Error')}</D:response>\n`;
  }
  const values = valuesOf(resource);
  const found: string[] = [];
  const missing: string[] = [];
  if (requested.kind === 'some') {
    for (const name of requested.names) {
      const value = name.namespace === DAV_NAMESPACE ? values.get(name.name) : undefined;
      if (value === undefined) missing.push(emptyOf(name));
      else found.push(property(name.name, value));
    }
  } else {
    for (const [name, value] of values)
      found.push(property(name, requested.kind === 'all' ? value : ''));
  }
  const parts = [
    ...(found.length > 0 || missing.length === 0 ? [propstat(found, '200 OK')] : []),
    ...(missing.length > 0 ? [propstat(missing, '404 Not Found')] : []),
  ];
  return `<D:response><D:href>${href}</D:href>${parts.join('')}</D:response>\n`;
}

function property(name: string, value: string): string {
  return value === '' ? `<D:${name}/>` : `<D:${name}>${value}</D:${name}>`;
}

function emptyOf({ namespace, name }: PropertyName): string {
  if (namespace === DAV_NAMESPACE) return `<D:${name}/>`;
  return namespace === '' ? `<${name} xmlns=""/>` : `<x:${name} xmlns:x="${escaped(namespace)}"/>`;
}

function propstat(properties: readonly string[], status: string): string {
  return `<D:propstat><D:prop>${properties.join('')}</D:prop>${statusOf(status)}</D:propstat>`;
}

function statusOf(text: string): string {
  return `<D:status>HTTP/1.1 ${text}</D:status>`;
}

/** Returns a text escaped for XML. Characters that XML does not allow become U+FFFD. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll(/[&<>"'\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`);
}

/** Returns a time as an HTTP date. It is limited to years of at most four digits. */
export function httpDate(timeNs: bigint): string {
  return new Date(clampedMs(timeNs)).toUTCString();
}

function clampedMs(timeNs: bigint): number {
  const timeMs = Number(timeNs / NS_PER_MS);
  return Math.max(-MAX_DATE_MS / 5, Math.min(MAX_DATE_MS, timeMs));
}
