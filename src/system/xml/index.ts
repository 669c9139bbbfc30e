/** Parses small XML documents that are untrusted. */
import { parseXml, XmlDocumentType, XmlElement, XmlError } from '@rgrove/parse-xml';

export { XmlElement } from '@rgrove/parse-xml';

interface XmlLimits {
  readonly maxBytes: number;
  /** Maximum depth of nested elements. */
  readonly maxDepth: number;
  /** Returns the error to throw for a document that is refused; `why` begins with "the body". */
  readonly refused: (why: string) => Error;
}

/**
 * Returns the root of a document. Throws the error of `limits.refused` if the document is too large or too deep, is not
 * well-formed UTF-8, or has a document type. Only the five entities of XML are known.
 */
export function readXml(body: Buffer, limits: XmlLimits): XmlElement {
  const { maxBytes, maxDepth, refused } = limits;
  if (body.length > maxBytes) throw refused('the body is too large');
  const text = decoded(body);
  if (text === undefined) throw refused('the body is not in UTF-8');
  const root = parsed(text);
  if (typeof root === 'string') throw refused(root);
  if (isDeeper(root, maxDepth)) throw refused('the body is nested too deeply');
  return root;
}

/** Returns the elements directly within an element. */
export function elementsIn(element: XmlElement): XmlElement[] {
  return element.children.filter((node) => node instanceof XmlElement);
}

/** Returns the root element, or the reason why there is none. */
function parsed(text: string): XmlElement | string {
  try {
    const { children, root } = parseXml(text, { preserveDocumentType: true });
    if (children.some((node) => node instanceof XmlDocumentType)) {
      return 'the body has a document type';
    }
    return root ?? 'the body has no element';
  } catch (error) {
    if (!(error instanceof XmlError) && !(error instanceof RangeError)) throw error;
    return 'the body is not well-formed XML';
  }
}

function decoded(body: Buffer): string | undefined {
  const isUtf16 = (body[0] === 0xff && body[1] === 0xfe) || (body[0] === 0xfe && body[1] === 0xff);
  if (isUtf16) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined; // the caller reports it
  }
}

function isDeeper(element: XmlElement, depth: number): boolean {
  return depth < 0 || elementsIn(element).some((child) => isDeeper(child, depth - 1));
}
