/** The body of PROPFIND (RFC 4918, 9.1): which properties somebody asks for. It is untrusted. */
import { parseXml, XmlDocumentType, XmlElement, XmlError } from '@rgrove/parse-xml';
import { TardisError } from '../../errors/index.js';

export const MAX_BODY_BYTES: number = 16 << 10;
const MAX_PROPERTIES = 256;
const MAX_DEPTH = 8;
const DAV_NAMESPACE = 'DAV:';
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

export interface PropertyName {
  readonly namespace: string;
  readonly name: string;
}

/** Properties by name, all with their values, or the names of all. */
export type WantedProperties =
  | { readonly kind: 'some'; readonly names: readonly PropertyName[] }
  | { readonly kind: 'all' | 'names' };

type Scope = ReadonlyMap<string, string>;

/** Returns what a body asks for; an empty one asks for all. Throws REQUEST_INVALID. */
export function propertiesIn(body: Buffer): WantedProperties {
  if (body.length === 0) return { kind: 'all' };
  const root = rootOf(body);
  const scope = scopeOf(root, new Map([['xml', XML_NAMESPACE]]));
  requireName(root, scope, 'propfind');
  for (const child of elementsIn(root)) {
    const inner = scopeOf(child, scope);
    const { namespace, name } = nameOf(child, inner);
    if (namespace !== DAV_NAMESPACE) continue;
    if (name === 'allprop') return { kind: 'all' };
    if (name === 'propname') return { kind: 'names' };
    if (name === 'prop') return { kind: 'some', names: namesIn(child, inner) };
  }
  throw refused('the body asks for no properties');
}

function namesIn(prop: XmlElement, scope: Scope): PropertyName[] {
  const names = elementsIn(prop).map((child) => nameOf(child, scopeOf(child, scope)));
  if (names.length > MAX_PROPERTIES) throw refused('the body asks for too many properties');
  return names;
}

/** Parses a document. There are no entities but the five of XML, and no document types. */
function rootOf(body: Buffer): XmlElement {
  if (body.length > MAX_BODY_BYTES) throw refused('the body is too large');
  const text = decoded(body);
  let root: XmlElement | null;
  try {
    const document = parseXml(text, { preserveDocumentType: true });
    if (document.children.some((node) => node instanceof XmlDocumentType)) {
      throw refused('the body has a document type');
    }
    root = document.root;
  } catch (error) {
    if (error instanceof TardisError) throw error;
    if (!(error instanceof XmlError) && !(error instanceof RangeError)) throw error;
    throw refused('the body is not well-formed XML');
  }
  if (root === null) throw refused('the body has no element');
  requireShallow(root, 0);
  return root;
}

function decoded(body: Buffer): string {
  const isUtf16 = (body[0] === 0xff && body[1] === 0xfe) || (body[0] === 0xfe && body[1] === 0xff);
  if (isUtf16) throw refused('the body is not in UTF-8');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw refused('the body is not in UTF-8');
  }
}

function requireShallow(element: XmlElement, depth: number): void {
  if (depth > MAX_DEPTH) throw refused('the body is nested too deeply');
  for (const child of elementsIn(element)) requireShallow(child, depth + 1);
}

function elementsIn(element: XmlElement): XmlElement[] {
  return element.children.filter((node) => node instanceof XmlElement);
}

/** Returns the prefixes in an element: those above and its own. */
function scopeOf({ attributes }: XmlElement, above: Scope): Scope {
  const own = Object.entries(attributes).filter(
    ([key]) => key === 'xmlns' || key.startsWith('xmlns:'),
  );
  if (own.length === 0) return above;
  const scope = new Map(above);
  for (const [key, namespace] of own) {
    const prefix = key === 'xmlns' ? '' : key.slice('xmlns:'.length);
    if (prefix !== '' && namespace === '') throw refused('the body has an empty namespace');
    scope.set(prefix, namespace);
  }
  return scope;
}

function nameOf({ name }: XmlElement, scope: Scope): PropertyName {
  const at = name.indexOf(':');
  const prefix = at < 0 ? '' : name.slice(0, at);
  const namespace = scope.get(prefix);
  const local = name.slice(at + 1);
  const isBad = (prefix !== '' && namespace === undefined) || local.includes(':') || local === '';
  if (isBad) throw refused('the body has a name without a namespace');
  return { namespace: namespace ?? '', name: local };
}

function requireName(element: XmlElement, scope: Scope, wanted: string): void {
  const { namespace, name } = nameOf(element, scope);
  if (namespace === DAV_NAMESPACE && name === wanted) return;
  throw refused(`the body is no "${wanted}"`);
}

function refused(why: string): TardisError {
  return new TardisError('REQUEST_INVALID', why);
}
