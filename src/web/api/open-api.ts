/** The OpenAPI document and a page of the API, both from the table of routes. */
import { programVersion } from '../../system/index.js';
import type { RouteRow } from './route-row.js';
import { BASE } from './routes.js';
import {
  BackupSet,
  Change,
  Client,
  Directory,
  Entry,
  Found,
  Note,
  Problem,
  Root,
  Session,
  Store,
  Version,
} from './schemas.js';

const TEXTS = {
  client: 'Name of the client.',
  set: 'Number or name of a backup set, or `latest` for the newest complete one.',
} as const;

/** Returns the document (OpenAPI 3.1) of these routes. */
export function openApi(rows: readonly RouteRow[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const row of rows) {
    const operations = (paths[row.path] ??= {});
    operations[row.method.toLowerCase()] = operationOf(row, row.method);
    if (row.method === 'GET') operations['head'] = operationOf(row, 'HEAD');
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tardis', version: programVersion(), description: ABOUT },
    servers: [{ url: SERVER }],
    paths: referring(paths),
    components: {
      schemas: Object.fromEntries(NAMED.map(([name, schema]) => [name, referring(schema, schema)])),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        password: {
          type: 'http',
          scheme: 'basic',
          description: 'For programs that know only this: the token as the password.',
        },
      },
    },
  };
}

/** Names of schemas that other schemas and answers refer to. */
const NAMED: readonly (readonly [name: string, schema: object])[] = Object.entries({
  Problem,
  Entry,
  BackupSet,
  Client,
  Directory,
  Version,
  Found,
  Change,
  Store,
  Root,
  Note,
  Session,
});
const NAME_OF: ReadonlyMap<string, string> = new Map(
  NAMED.map(([name, schema]) => [JSON.stringify(schema), name]),
);

/** Returns a value in which each schema with a name is a reference, except `itself`. */
function referring(value: unknown, itself?: object): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const name = value === itself ? undefined : NAME_OF.get(JSON.stringify(value));
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  if (Array.isArray(value)) return value.map((one) => referring(one));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, referring(one)]));
}

/** Returns a name of an operation that no other one has, such as `getClientsByClientSets`. */
function operationId(method: string, path: string): string {
  const words = path
    .split('/')
    .filter((word) => word !== '')
    .map((word) =>
      word.replace(
        /^\{(\w)(\w*)\}$/,
        (_, first: string, rest: string) => `By${first.toUpperCase()}${rest}`,
      ),
    )
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return method.toLowerCase() + words.join('');
}

/** The place of the routes, relative to that of the document, since a proxy may serve both below a path of its own. */
const SERVER = `../${BASE.slice(BASE.lastIndexOf('/') + 1)}`;

const ABOUT =
  'Values of queries are percent-encoded bytes, so that any name can be given. Errors are application/problem+json.';

function operationOf(row: RouteRow, method: string): object {
  const { summary, right, path, query, body, takes } = row;
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
      description: TEXTS[name as keyof typeof TEXTS] ?? '',
    })),
    ...parametersOf(query),
  ];
  const type = takes ?? 'application/json';
  const sealed =
    row.isClear === true ? ' Not for a client that encrypts, unless the program has its keys.' : '';
  return {
    operationId: operationId(method, path),
    summary: `${summary}${sealed}`,
    ...(right === 'none'
      ? { security: [] }
      : { security: [{ token: [] }, { password: [] }], 'x-right': right }),
    parameters,
    ...(body === undefined && takes === undefined
      ? {}
      : { requestBody: { required: true, content: { [type]: { schema: body ?? {} } } } }),
    responses: responsesOf(row),
  };
}

function responsesOf({ method, right, reply, sends, hasRanges }: RouteRow): object {
  const types = sends === undefined ? [] : [sends].flat();
  const content =
    sends === undefined
      ? { 'application/json': { schema: reply } }
      : Object.fromEntries(types.map((type) => [type, { schema: {} }]));
  const problem = { 'application/problem+json': { schema: Problem } };
  const isTagged = hasRanges === true || (method === 'GET' && reply !== undefined);
  return {
    '200': { description: 'The answer.', content },
    ...(hasRanges === true
      ? { '206': { description: 'The ranges that were requested.', content } }
      : {}),
    ...(isTagged ? { '304': { description: 'The requester has it already.' } } : {}),
    ...(right === 'none' ? {} : { '401': { description: 'There is no login.', content: problem } }),
    ...(hasRanges === true
      ? {
          '416': {
            description: 'There is no such range.',
            content: { 'text/plain': { schema: {} } },
          },
        }
      : {}),
    default: { description: 'An error.', content: problem },
  };
}

interface Property {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
}

function propertiesOf(
  schema: RouteRow['query'],
): [name: string, property: Property, isRequired: boolean][] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, Property>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => [
    name,
    property,
    required.includes(name) && property.default === undefined,
  ]);
}

function parametersOf(schema: RouteRow['query']): object[] {
  return propertiesOf(schema).map(([name, property, required]) => {
    const { description = '', ...shape } = property;
    return { name, in: 'query', required, schema: shape, description };
  });
}

/** Returns docs/server/api.md's list of routes. */
export function routesText(rows: readonly RouteRow[]): string {
  return rows.map(routeText).join('\n');
}

function routeText({
  method,
  path,
  right,
  summary,
  query,
  isClear,
  body,
  takes,
}: RouteRow): string {
  const lines = [`### ${method} ${path}\n`, `${summary}\n`];
  const needs =
    right === 'none' ? 'no login' : right === 'login' ? 'any login' : `right \`${right}\``;
  const sealed =
    isClear === true ? '; not for a client that encrypts, unless the program has its keys' : '';
  lines.push(`Needs: ${needs}${sealed}.\n`);
  for (const [schema, what] of [
    [query, 'query'],
    [body, 'body, JSON'],
  ] as const) {
    const properties = propertiesOf(schema);
    if (properties.length === 0) continue;
    lines.push(`| ${what} | values | |`, '| --- | --- | --- |');
    for (const [name, property, isRequired] of properties) {
      const { description = '', default: usual } = property;
      const more = isRequired
        ? 'required'
        : usual === undefined
          ? ''
          : `default ${JSON.stringify(usual)}`;
      const words = [description, more].filter((word) => word !== '').join(' ');
      lines.push(`| \`${name}\` | ${valuesOf(property)} | ${words} |`);
    }
    lines.push('');
  }
  if (takes !== undefined) lines.push(`Body: \`${takes}\`.\n`);
  return lines.join('\n');
}

function valuesOf({ type, enum: choices }: Property): string {
  return choices === undefined ? (type ?? 'text') : choices.map((one) => `\`${one}\``).join(' ');
}

/** Returns a page of the routes, without a script. */
export function routesPage(rows: readonly RouteRow[]): string {
  const items = rows.map(
    ({ method, path, right, summary }) =>
      `<tr><td><code>${method} ${path}</code></td><td>${right}</td><td>${escaped(summary)}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Tardis API</title>
<h1>Tardis API</h1><p>Below <code>${BASE}</code>; the fields are in <a href="openapi.json">openapi.json</a>. Errors are application/problem+json, with a code and the next step for the user.</p>
<table><thead><tr><th>route</th><th>right</th><th></th></tr></thead><tbody>${items.join('\n')}</tbody></table></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
