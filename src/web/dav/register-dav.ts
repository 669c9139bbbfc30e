/** Read-only WebDAV, class 1: it shows the clients of a program as trees of collections. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  AtOnce,
  type Door,
  etagOf,
  inPlace,
  invalidRequest,
  keepPlace,
  type Lease,
  mayBeKept,
  percentDecoded,
  percentEncoder,
  requireRight,
  sendContent,
  sendStream,
  typeOf,
  type Visitor,
  type WebApp,
  withLease,
} from '../api/index.js';
import { TardisError } from '../../errors/index.js';
import type { HistoryEntry } from '../../history/index.js';
import { EntryType, isEntryName } from '../../model/index.js';
import { type DavNode, davNodeAt, folder } from './dav-tree.js';
import {
  MAX_BODY_BYTES,
  propertiesIn,
  type PropertyName,
  type RequestedProperties,
} from './propfind-body.js';

/** Name of the collection of all clients. */
const TOP: Buffer = Buffer.from('Tardis');
const DAV_BASE = '/dav';
const ALLOWED = 'OPTIONS, GET, HEAD, PROPFIND';
const WRITING = 'PUT POST PATCH DELETE MKCOL COPY MOVE PROPPATCH LOCK UNLOCK'.split(' ');
const READING = ['GET', 'HEAD', 'PROPFIND'];
/** Number of characters of text that are sent at once. */
const PART_CHARS = 64 << 10;
/** The segment of a path that stands for the place itself. */
const SAME = Buffer.from('.');

/** Returns a name in the form for a URL and for `href`: it has only letters, digits, `-._~` and `%`. */
const encodedName = percentEncoder(/[\w.~-]/);

/** Adds WebDAV below `/dav`. A script's token is the password of Basic, with any user name. */
export function registerDav(app: WebApp, door: Door): void {
  for (const method of [...READING, ...WRITING]) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  }
  const atOnce = new AtOnce();
  void app.register(async (scope: FastifyInstance) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
      async (_: FastifyRequest, body: Buffer) => body,
    );
    scope.addHook('onSend', async (_, reply) => {
      void reply.headers({ dav: '1', 'ms-author-via': 'DAV' });
      if (reply.statusCode === 401) {
        void reply.header('www-authenticate', 'Basic realm="tardis", charset="UTF-8"');
      }
    });
    for (const url of [DAV_BASE, `${DAV_BASE}/*`]) {
      scope.route({ method: 'OPTIONS', url, handler: answerOptions });
      const refuse = { onRequest: refuseWriting, handler: refuseWriting };
      scope.route({ method: WRITING, url, ...refuse });
      scope.route({
        method: READING,
        url,
        compress: false,
        onRequest: async (request, reply) => {
          request.visitor = await door.authenticate(request);
          keepPlace(reply, atOnce.enter(request)); // counted before the body is read, which takes memory
        },
        handler: async (request, reply) => inPlace(reply, () => answer(door, request, reply)),
      });
    }
  });
}

async function answerOptions(_: FastifyRequest, reply: FastifyReply): Promise<void> {
  await reply.header('allow', ALLOWED).header('content-length', '0').send();
}

/** Refuses a method that writes, before the body is read. */
async function refuseWriting(_: FastifyRequest, reply: FastifyReply): Promise<void> {
  void reply.header('allow', ALLOWED).code(405);
  await reply
    .type('text/plain; charset=utf-8')
    .send('Backups are read-only: nothing is changed.\n');
}

async function answer(door: Door, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { visitor } = request;
  if (visitor === undefined) throw new TardisError('NOT_LOGGED_IN', 'a login is needed');
  const [client, ...path] = namesOfUrl(request.originalUrl);
  requireRight(visitor, 'list', client?.toString());
  if (client === undefined) return answerTop(door, visitor, request, reply);
  const name = client.toString();
  const isListing = request.method === 'PROPFIND';
  const permit = (one: Visitor): void => requireRight(one, 'list', name);
  return withLease(
    { door, client: name, visitor, request, reply, permit },
    async (lease, caller) => {
      if (lease.isSealed) {
        throw new TardisError('SEALED', 'the client encrypts, and this program lacks its keys');
      }
      const node = await davNodeAt(lease.history, path);
      if (isListing) {
        const base = `${request.removedPrefix}${DAV_BASE}/${encodedName(client)}`;
        return answerPropfind(request, reply, node, { base, path });
      }
      requireRight(caller, 'read', name);
      return answerGet(door, lease, { request, reply, node });
    },
  );
}

/**
 * Returns the names in the path of a URL, as bytes. Empty segments between slashes are left out, and so are segments `.`,
 * also in percent-encoding: rclone sends one before a name with a colon (RFC 3986, 4.2). Throws REQUEST_INVALID for an
 * invalid name, such as `..` or a name with an encoded slash.
 */
function namesOfUrl(url: string): Buffer[] {
  const [path = ''] = url.split(/[?#]/, 1);
  if (path !== DAV_BASE && !path.startsWith(`${DAV_BASE}/`))
    throw invalidRequest('the path is another one');
  return path
    .slice(DAV_BASE.length)
    .split('/')
    .map((part) => percentDecoded(part, 'path'))
    .filter((name) => name.length > 0 && !name.equals(SAME))
    .map((name) => {
      if (!isEntryName(name)) throw invalidRequest('the path has a part that is no name');
      return name;
    });
}

/** Answers requests for the collection of all clients. */
async function answerTop(
  door: Door,
  visitor: Visitor,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const clients = await door.clients(visitor);
  if (request.method !== 'PROPFIND') return answerCollection(reply);
  const node = folder(
    TOP,
    clients.map(({ client, newestAtMs }) => [client, newestAtMs]),
    0,
  );
  const base = `${request.removedPrefix}${DAV_BASE}`;
  return answerPropfind(request, reply, node, { base, path: [] });
}

interface Place {
  readonly base: string;
  readonly path: readonly Buffer[];
}

async function answerPropfind(
  request: FastifyRequest,
  reply: FastifyReply,
  node: DavNode,
  place: Place,
): Promise<unknown> {
  const { body } = request;
  const requested = propertiesIn(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  const { depth } = request.headers;
  if (depth !== '0' && depth !== '1') {
    const error = '<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n';
    return reply.code(403).type(XML_TYPE).send(`${XML_HEAD}${error}`);
  }
  const pages = depth === '1' && isShown(node.entry) ? node.pages?.() : undefined;
  const text = multistatus(node, pages, place, requested);
  void reply.code(207).type(XML_TYPE).header('cache-control', 'no-store');
  await sendStream(reply, parts(text));
  return reply;
}

/** Returns the URL path of names below a base. The path of a collection ends with a slash. */
function hrefOf(base: string, names: readonly Buffer[], endsWithSlash: boolean): string {
  const path = [base, ...names.map(encodedName)].join('/');
  return endsWithSlash ? `${path}/` : path;
}

async function* multistatus(
  { entry }: DavNode,
  pages: AsyncIterable<readonly DavResource['entry'][]> | undefined,
  { base, path }: Place,
  requested: RequestedProperties,
): AsyncGenerator<string> {
  yield MULTISTATUS_START;
  yield responseOf({ href: hrefOf(base, path, isCollection(entry)), entry }, requested);
  const above = hrefOf(base, path, true);
  for await (const page of pages ?? []) {
    for (const child of page) {
      if (!isShown(child)) continue;
      const href = `${above}${encodedName(child.name)}${isCollection(child) ? '/' : ''}`;
      yield responseOf({ href, entry: child }, requested);
    }
  }
  yield MULTISTATUS_END;
}

/** Yields text in larger parts. */
async function* parts(texts: AsyncIterable<string>): AsyncGenerator<Buffer, void> {
  let collected = '';
  for await (const text of texts) {
    collected += text;
    if (collected.length < PART_CHARS) continue;
    yield Buffer.from(collected);
    collected = '';
  }
  yield Buffer.from(collected);
}

function isCollection({ type, damage }: DavResource['entry']): boolean {
  return type === EntryType.directory && damage === undefined;
}

async function answerGet(
  door: Door,
  lease: Lease,
  {
    request,
    reply,
    node,
  }: { readonly request: FastifyRequest; readonly reply: FastifyReply; readonly node: DavNode },
): Promise<unknown> {
  const { entry, set } = node;
  if (entry.damage !== undefined) throw entry.damage;
  if (entry.type === EntryType.directory) return answerCollection(reply);
  void reply.header('last-modified', httpDate(entry.mtimeNs));
  if (entry.linkTarget !== undefined) {
    void reply.type(LINK_TYPE).header('content-length', entry.linkTarget.length);
    return reply.send(request.method === 'HEAD' ? undefined : entry.linkTarget);
  }
  const isLasting = mayBeKept(door, lease) && set?.state === 'complete';
  const caching = isLasting ? 'private, no-cache' : 'no-store';
  await sendContent(request, reply, {
    lease,
    entry,
    path: Buffer.concat([Buffer.from('/'), entry.name]),
    isDownload: true,
    caching,
  });
  return reply;
}

/** Answers GET of a collection with a note for users. WebDAV programs do not send such a request. */
function answerCollection(reply: FastifyReply): FastifyReply {
  const text = 'This is a WebDAV collection: open it as a network drive.\n';
  return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(text);
}

/** Type of the answers of PROPFIND, which are XML (RFC 4918, 9.1 and 15). */
const XML_TYPE = 'application/xml; charset=utf-8';
const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n';
const MULTISTATUS_START: string = `${XML_HEAD}<D:multistatus xmlns:D="DAV:">\n`;
const MULTISTATUS_END = '</D:multistatus>\n';
const DAV_NAMESPACE = 'DAV:';
const NS_PER_MS = 1_000_000n;
/** Latest time that an HTTP date can express: years have four digits. */
const MAX_DATE_MS = 253_402_300_799_000;

/** An entry and its URL. */
interface DavResource {
  readonly href: string;
  readonly entry: HistoryEntry;
}

/**
 * True for an entry that WebDAV shows: a collection, a file, a link (shown as a file that contains its target), or a
 * damaged entry (shown as an error).
 */
function isShown({ type, damage }: HistoryEntry): boolean {
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
const LINK_TYPE = 'inode/symlink';

/** Returns the element `response` of a resource. */
function responseOf(resource: DavResource, requested: RequestedProperties): string {
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
function httpDate(timeNs: bigint): string {
  return new Date(clampedMs(timeNs)).toUTCString();
}

function clampedMs(timeNs: bigint): number {
  const timeMs = Number(timeNs / NS_PER_MS);
  return Math.max(-MAX_DATE_MS / 5, Math.min(MAX_DATE_MS, timeMs));
}
