import { linesMatching } from './house.js';

/**
 * Matches a comment line that begins with a word that makes a riddle of a doc comment. A comment says first what the
 * thing does or returns (CONTRIBUTING.md, "Plain English").
 */
const ODD_OPENING =
  /^\s*(?:\/\*\*|\*|\/\/|--|#) (?:(?:What|Of|Who|Whoever|Whose|Whether|So many)\b|The same[.:,])/;

/** Matches a comment line in which a later sentence begins with such a word, unless the line asks a question. */
const ODD_SENTENCE_IN_COMMENT =
  /^\s*(?:\/\*\*|\*|\/\/|--|#) .*[.;] (?:What|Of|Who|Whoever|Whose|Whether|So many) (?!.*\?)/;

/** Matches a line of a document in which a sentence, or an item of a list, begins so. */
const ODD_SENTENCE =
  /(?:^(?:[-*] )?|[.;] |\| )(?:What|Who|Whoever|Whose|Whether|So many|The same[.:,]) (?!.*\?)/;

/** Returns `file:line: text` of each comment with such an opening or sentence. */
export function oddOpenings(file: string, text: string): string[] {
  return [
    ...linesMatching(file, text, ODD_OPENING),
    ...linesMatching(file, text, ODD_SENTENCE_IN_COMMENT),
  ];
}

/** Returns `file:line: text` of each such sentence in a document; blocks of code do not count. */
export function oddSentences(file: string, text: string): string[] {
  const outsideOfCode = text.replaceAll(/^( *```).*?^\1$/gms, (block) =>
    block.replaceAll(/[^\n]+/g, ''),
  );
  return linesMatching(file, outsideOfCode, ODD_SENTENCE);
}

/** Words of comments that have a plain one: programs report, send, print, request and need; people are users or peers. */
const OLD_WORD_IN_COMMENT =
  /\b(?:told|untold|tells?|telling|said|says|saying|asked|asks|wants|whoever|upkeep|tending|remakes?|remade|remaking|episodes?)\b/i;

/** Matches the text of a comment: of a line of a block, or after `//`, `--` or `#`. */
const COMMENT = /^\s*(?:\/\*\*|\*|\/\/|--|#) (.*)|[\s;{}(),](?:\/\/|--) (.*)$/;

/** Returns `file:line: text` of each comment with a word that has a plain one. Names in backquotes do not count. */
export function oldWords(file: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const [, whole, behind = ''] = COMMENT.exec(line) ?? [];
    const comment = (whole ?? behind).replaceAll(/`[^`]*`/g, '');
    return OLD_WORD_IN_COMMENT.test(comment) ? [`${file}:${index + 1}: ${line.trim()}`] : [];
  });
}

/** Words that no name may have, in one of its parts: `lastTold`, `MAX_TOLD`. */
const OLD_PART =
  /^(?:told|untold|tells?|telling|teller|said|says?|saying|asked|asks|asking|wants|who|whom|whose|whoever|upkeep|keeper|tending|remakes?|remade|remaking|remaker|episodes?)$/i;

/** Names of the rewrites, of deletions of sets and of protected roots as they were once called. */
const OLD_NAME = /^(?:drop(?:Sets?|Inline)|previewDrop|rekey[A-Z]\w*|HEAD_HELD|HeldReason)$/;

/** Matches a file whose name has such a word. */
const OLD_FILE =
  /(?:^|[/-])(?:told|tells?|telling|said|says?|asked|upkeep|keeper|tending|remake|stamps|rekeys)(?=[-.])/;

/** Returns `file:line: name` of each name in code, and of the file, with a word that has a plain one. */
export function oldNames(file: string, code: string): string[] {
  const found = code
    .split('\n')
    .flatMap((line, index) =>
      (line.match(/[A-Za-z_$][\w$]*/g) ?? [])
        .filter((name) => OLD_NAME.test(name) || partsOf(name).some((part) => OLD_PART.test(part)))
        .map((name) => `${file}:${index + 1}: ${name}`),
    );
  return OLD_FILE.test(file) ? [`${file}: its name`, ...found] : found;
}

/** Returns the words of a name: `toldBy` has two, and so has `MAX_TOLD`. */
function partsOf(name: string): string[] {
  return name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? [];
}
