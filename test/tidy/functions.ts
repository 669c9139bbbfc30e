import { withoutCommentsAndTexts } from './blank.js';

/** Matches statements and types whose block is not a function. */
const OTHER_BLOCK =
  /^(?:\} )?(?:else|if|for|while|do|switch|try|catch|finally|case|default|with|(?:export )?(?:default )?(?:declare )?(?:abstract )?(?:class|interface|enum|namespace|type))\b/;
/** Matches a line that ends by opening a function's body: after parameters, a return type, or an arrow. */
const OPENS_BODY = /(?:=>|\)(?:\s*:.*)?)\s*\{$/;

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

/**
 * Returns `file:line: length` of each function longer than `maxLines`, signature included. It relies on the indentation
 * that the formatter ensures: a body ends at the first later line with the indentation of the line that opens it.
 */
export function longFunctions(file: string, text: string, maxLines: number): string[] {
  const lines = withoutCommentsAndTexts(text).split('\n');
  return lines.flatMap((line, index) => {
    if (!OPENS_BODY.test(line.trimEnd())) return [];
    const indent = indentOf(line);
    const isAtIndent = (other: string): boolean =>
      other.trim() !== '' && indentOf(other) === indent;
    let first = index;
    // A signature over several lines ends with a line that begins with its closing bracket, or with that of a pattern.
    if (/^\s*(?:\)|\}: )/.test(line)) first = lines.slice(0, index).findLastIndex(isAtIndent);
    if (first < 0 || OTHER_BLOCK.test((lines[first] ?? '').trimStart())) return [];
    const length = lines.slice(index + 1).findIndex(isAtIndent);
    const last = length < 0 ? lines.length - 1 : index + 1 + length;
    const count = last - first + 1;
    return count > maxLines ? [`${file}:${first + 1}: ${count} lines`] : [];
  });
}
