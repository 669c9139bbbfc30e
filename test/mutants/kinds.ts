/** Finds the places of a source where one small change makes a mutant: a fault that good tests find. */
import * as ast from 'typescript/unstable/ast';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

export const KINDS = [
  'condition turned',
  'call left out',
  'bound moved',
  'sync skipped',
  'error swallowed',
] as const;
export type Kind = (typeof KINDS)[number];

/** A change of a text: the characters from `start` to `end` become `changed`. */
export interface Place {
  readonly kind: Kind;
  readonly start: number;
  readonly end: number;
  readonly changed: string;
}

const SWAPPED: Readonly<Record<string, readonly [Kind, string]>> = {
  '&&': ['condition turned', '||'],
  '||': ['condition turned', '&&'],
  '<': ['bound moved', '<='],
  '<=': ['bound moved', '<'],
  '>': ['bound moved', '>='],
  '>=': ['bound moved', '>'],
};
/** Matches the name of a call that brings data to the disk. */
const SYNC = /(?<![\w$])(?:f?(?:data)?sync|flush|checkpoint)(?:[A-Z]\w*)?$/;
/** Matches a call that changes no result, and one that writes texts for people. */
const IDLE = /\.unref$|\b(?:breathe|releaseMemory|super)$/;
const LOG = /\b(?:log|console)\??\.\w+$/;
/** Matches a line up to a number that is a duration, which no test should notice. */
const OF_DURATION = /(?:Ms|MS|Seconds|SECONDS)\b[^\n]*$/;

/** Returns the places of each of these texts in TypeScript. One call of the compiler parses all of them. */
export function placesIn(texts: readonly string[]): Place[][] {
  const options = { noLib: true, noResolve: true, types: [] };
  const files = Object.fromEntries(texts.map((text, at) => [`/in/${at}.ts`, text]));
  const project = '/in/tsconfig.json';
  const fs = createVirtualFileSystem({
    ...files,
    [project]: JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
  });
  const api = new API({ cwd: '/in', fs });
  try {
    const opened = api.updateSnapshot({ openProjects: [project] }).getProject(project);
    return texts.map((text, at) => {
      const root = opened?.program.getSourceFile(`/in/${at}.ts`);
      if (root?.text !== text) throw new Error('the compiler has not parsed a text');
      const found: Place[] = [];
      const visit = (node: ast.Node): void => {
        if (ast.isTypeNode(node) || ast.isEnumDeclaration(node)) return;
        if (ast.isCallExpression(node) && LOG.test(textAt(node.expression, text))) return;
        addPlaces(node, text, found);
        node.forEachChild(visit);
      };
      visit(root);
      return found;
    });
  } finally {
    api.close();
  }
}

function textAt(node: ast.Node, text: string): string {
  return text.slice(node.getStart(), node.end);
}

/** Adds the places of a node itself. */
function addPlaces(node: ast.Node, text: string, found: Place[]): void {
  const add = (kind: Kind, at: ast.Node, changed: string, start = at.getStart()): void => {
    found.push({ kind, start, end: at.end, changed });
  };
  const condition = conditionOf(node);
  if (condition !== undefined) add('condition turned', condition, `!(${textAt(condition, text)})`);
  if (ast.isBinaryExpression(node)) {
    const { operatorToken, left, right } = node;
    const sign = textAt(operatorToken, text);
    const [kind, changed] = SWAPPED[sign] ?? [];
    if (kind !== undefined) add(kind, operatorToken, changed!);
    const isStep = /^[+-]$/.test(sign) && /^1n?$/.test(textAt(right, text));
    if (isStep) add('bound moved', node, '', left.end);
  } else if (ast.isNumericLiteral(node) || ast.isBigIntLiteral(node)) {
    const digits = textAt(node, text).replaceAll(/_|n$/g, '');
    const more = ast.isBigIntLiteral(node) ? `${BigInt(digits) + 1n}n` : `${Number(digits) + 1}`;
    const before = text.slice(text.lastIndexOf('\n', node.end - 1) + 1, node.getStart());
    if (!OF_DURATION.test(before)) add('bound moved', node, more);
  } else if (ast.isThrowStatement(node)) add('error swallowed', node, ';');
  else if (ast.isCallExpression(node) && SYNC.test(textAt(node.expression, text)))
    add('sync skipped', node, 'undefined');
  else if (ast.isExpressionStatement(node)) {
    let call = node.expression;
    while (ast.isAwaitExpression(call) || ast.isVoidExpression(call)) call = call.expression;
    const name = ast.isCallExpression(call) ? textAt(call.expression, text) : 'super';
    if (![SYNC, IDLE, LOG].some((one) => one.test(name))) add('call left out', node, ';');
  }
}

function conditionOf(node: ast.Node): ast.Node | undefined {
  if (ast.isIfStatement(node) || ast.isWhileStatement(node) || ast.isDoStatement(node))
    return node.expression;
  return ast.isForStatement(node) || ast.isConditionalExpression(node) ? node.condition : undefined;
}

const NATIVE_UNSEEN =
  /\/\/.*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|(?<!\w)'(?:[^'\\\n]|\\.)+'|^#(?:.*\\\n)*.*$/gm;
const NATIVE_CONDITION =
  /\b(?:if|while) \((?=((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*))/g;
/** Kinds of changes in C++: a pattern, and the text that replaces a match. */
const NATIVE: readonly (readonly [Kind, RegExp, (found: string) => string])[] = [
  ['condition turned', /(?<= )(?:&&|\|\|)(?= )/g, (sign) => SWAPPED[sign]![1]],
  ['bound moved', /(?<= )[<>]=?(?= )/g, (sign) => SWAPPED[sign]![1]],
  ['bound moved', / [+-] 1\b(?!['.])/g, () => ''],
  ['bound moved', /(?<![\w.'])\d+(?![\w.'])/g, (digits) => String(Number(digits) + 1)],
  [
    'call left out',
    /(?<=[;{}]\s+)(?!throw\b|return\b)[\w:]+(?:(?:\.|->)\w+)*\([^;{}]*\);/g,
    () => ';',
  ],
  [
    'sync skipped',
    /(?<![\w.])(?:::)?(?:f(?:data)?sync|syncfs|sync_file_range)\([^()]*\)/g,
    () => '0',
  ],
  ['error swallowed', /\bthrow [^;]*;/g, () => ';'],
];

/** Returns the places of a text in C++. They are found by patterns; some mutants do not compile. */
export function placesInNative(text: string): Place[] {
  const code = text.replaceAll(NATIVE_UNSEEN, (unseen) => unseen.replaceAll(/[^\n]/g, ' '));
  const conditions = [...code.matchAll(NATIVE_CONDITION)].map((match): Place => {
    const start = match.index + match[0].length;
    const end = start + match[1]!.length;
    return { kind: 'condition turned', start, end, changed: `!(${text.slice(start, end)})` };
  });
  const others = NATIVE.flatMap(([kind, pattern, change]) =>
    [...code.matchAll(pattern)].map(({ 0: found, index: start }): Place => {
      return { kind, start, end: start + found.length, changed: change(found) };
    }),
  );
  return [...conditions, ...others];
}
