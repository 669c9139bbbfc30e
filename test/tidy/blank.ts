/** Matches a run of plain code, a comment, a string, a regular expression, or one bracket; tried in this order. */
const TOKEN =
  /[^/'"`{}]+|\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"|[`{}]|\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/[\\\n])+\/[a-z]*/gy;

/** Matches code after which a slash begins a regular expression; after a value a slash divides. */
const BEFORE_EXPRESSION = /(?:^|[=([{}:;,!&|?+\-*%^~<>]|\b(?:return|typeof|case|of|in))\s*$/;

/**
 * Returns TypeScript source in which comments, strings and regular expressions are replaced by spaces, so that only
 * code is left. Every line stays where it is. Code within `${}` of a template is kept.
 */
export function withoutCommentsAndTexts(source: string): string {
  let result = '';
  let position = 0;
  /** Number of open braces within each open `${`. */
  const templates: number[] = [];
  while (position < source.length) {
    const token = tokenAt(source, position, result);
    if (token === '`') {
      result += token;
      position = skipTemplate(position + 1);
    } else if (token === '}' && templates.at(-1) === 0) {
      templates.pop();
      result += token;
      position = skipTemplate(position + 1);
    } else {
      if (token === '{' || token === '}') countBrace(token);
      result += token.length > 1 && /^[/'"]/.test(token) ? blanked(token) : token;
      position += token.length;
    }
  }
  return result;

  function countBrace(brace: string): void {
    const depth = templates.pop();
    if (depth !== undefined) templates.push(depth + (brace === '{' ? 1 : -1));
  }

  /** Blanks a template's text up to its end or the next `${`; returns the position where code continues. */
  function skipTemplate(from: number): number {
    let at = from;
    while (at < source.length && source[at] !== '`' && !source.startsWith('${', at)) {
      at += source[at] === '\\' ? 2 : 1;
    }
    const isEnd = source[at] === '`';
    if (!isEnd && at < source.length) templates.push(0);
    const next = at + (isEnd ? 1 : 2);
    result += blanked(source.slice(from, at)) + source.slice(at, next);
    return next;
  }
}

/** Returns the token at a position, or the single character there. */
function tokenAt(source: string, position: number, before: string): string {
  TOKEN.lastIndex = position;
  const token = TOKEN.exec(source)?.[0] ?? source[position] ?? '';
  const isRegularExpression = token.length > 1 && /^\/[^/*]/.test(token);
  return isRegularExpression && !BEFORE_EXPRESSION.test(before.slice(-40)) ? '/' : token;
}

function blanked(text: string): string {
  return text.replaceAll(/[^\n]/g, ' ');
}
