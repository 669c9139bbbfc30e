/** The OpenAPI document and a page of the API, both from the table of routes. */
import { programVersion } from '../../system/index.js';
import type { RouteRow } from './route-row.js';
import { BASE } from './routes.js';
import { Problem } from './schemas.js';

const TEXTS = {
  client: 'Name of the client.',
  set: 'Number or name of a backup set, or `latest` for the newest complete one.',
} as const;

/** Returns the document (OpenAPI 3.1) of these routes. */
export function openApi(rows: readonly RouteRow[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const row of rows) {
    const operations = (paths[row.path] ??= {});
    operations[row.method.toLowerCase()] = operationOf(row);
    if (row.method === 'GET') operations['head'] = operationOf(row);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tardis', version: programVersion(), description: ABOUT },
    servers: [{ url: SERVER }],
    paths,
    components: {
      schemas: { Problem },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

/** The place of the routes, relative to that of the document, since a proxy may serve both below a path of its own. */
const SERVER = `../${BASE.slice(BASE.lastIndexOf('/') + 1)}`;

const ABOUT =
  'Values of queries are percent-encoded bytes, so that any name can be given. Errors are application/problem+json.';

function operationOf({
  summary,
  right,
  path,
  query,
  body,
  takes,
  reply,
  sends,
  ...row
}: RouteRow): object {
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
  const content =
    sends === undefined ? { 'application/json': { schema: reply } } : { [sends]: { schema: {} } };
  const sealed =
    row.isClear === true ? ' Not for a client that encrypts, unless the program has its keys.' : '';
  return {
    summary: `${summary}${sealed}`,
    ...(right === 'none' ? {} : { security: [{ token: [] }], 'x-right': right }),
    parameters,
    ...(body === undefined && takes === undefined
      ? {}
      : { requestBody: { required: true, content: { [type]: { schema: body ?? {} } } } }),
    responses: {
      '200': { description: 'The answer.', content },
      default: {
        description: 'An error.',
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    },
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
