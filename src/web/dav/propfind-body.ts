/** The body of PROPFIND (RFC 4918, 9.1), which names the requested properties. It is untrusted. */
import { elementsIn, readXml, type XmlElement } from '../../system/xml/index.js';
import { invalidRequest } from '../api/index.js';

export const MAX_BODY_BYTES: number = 16 << 10;
const MAX_PROPERTIES = 256;
const MAX_DEPTH = 8;
const DAV_NAMESPACE = 'DAV:';
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

export interface PropertyName {
  readonly namespace: string;
  readonly name: string;
}

/** Request for some properties by name, for all properties with values, or for the names of all. */
export type RequestedProperties =
  | { readonly kind: 'some'; readonly names: readonly PropertyName[] }
  | { readonly kind: 'all' | 'names' };

type Scope = ReadonlyMap<string, string>;

/** Returns the requested properties; an empty body requests all. Throws REQUEST_INVALID. */
export function propertiesIn(body: Buffer): RequestedProperties {
  if (body.length === 0) return { kind: 'all' };
  const root = readXml(body, {
    maxBytes: MAX_BODY_BYTES,
    maxDepth: MAX_DEPTH,
    refused: invalidRequest,
  });
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
  throw invalidRequest('the body requests no properties');
}

function namesIn(prop: XmlElement, scope: Scope): PropertyName[] {
  const names = elementsIn(prop).map((child) => nameOf(child, scopeOf(child, scope)));
  if (names.length > MAX_PROPERTIES) throw invalidRequest('the body requests too many properties');
  return names;
}

/** Returns the namespace prefixes that are valid in an element: those of the elements above and its own. */
function scopeOf({ attributes }: XmlElement, above: Scope): Scope {
  const own = Object.entries(attributes).filter(
    ([key]) => key === 'xmlns' || key.startsWith('xmlns:'),
  );
  if (own.length === 0) return above;
  const scope = new Map(above);
  for (const [key, namespace] of own) {
    const prefix = key === 'xmlns' ? '' : key.slice('xmlns:'.length);
    if (prefix !== '' && namespace === '') throw invalidRequest('the body has an empty namespace');
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
  if (isBad) throw invalidRequest('the body has a name without a namespace');
  return { namespace: namespace ?? '', name: local };
}

function requireName(element: XmlElement, scope: Scope, wanted: string): void {
  const { namespace, name } = nameOf(element, scope);
  if (namespace === DAV_NAMESPACE && name === wanted) return;
  throw invalidRequest(`the body is no "${wanted}"`);
}
