/** Reads fields of lists of objects. All of them are untrusted. */
import { elementsIn, type XmlElement } from '../../../system/xml/index.js';
import { invalidAnswer } from './requests.js';

/** Returns the text of the first child with a name; undefined if there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return elementsIn(element).find((child) => child.name === name)?.text;
}

/**
 * Decodes a key of a list, which is encoded as in a URL. Throws BUCKET_ANSWER_INVALID if it cannot be decoded; `what`
 * is the action in the error.
 */
export function decodedKey(key: string, what: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    throw invalidAnswer(what, 'the list has a name that cannot be decoded');
  }
}
