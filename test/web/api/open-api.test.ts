/** The OpenAPI document: what generators of clients need of it. */
import test from 'ava';
import { ARCHIVE_ROW } from '../../../src/web/archive/index.js';
import { openApi, ROUTES } from '../../../src/web/api/index.js';

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}

const TEXT = JSON.stringify(openApi([...Object.values(ROUTES), ARCHIVE_ROW]));
const DOCUMENT = JSON.parse(TEXT) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
};

function operation(path: string): Operation {
  return DOCUMENT.paths[path]!['get']!;
}

test('each operation has a name of its own', (t) => {
  const ids = Object.values(DOCUMENT.paths).flatMap((operations) =>
    Object.values(operations).map(({ operationId }) => operationId),
  );
  t.is(new Set(ids).size, ids.length);
  t.true(ids.includes('getClientsByClientSets'));
});

test('schemas have names, and each reference is to one that is there', (t) => {
  const names = new Set(Object.keys(DOCUMENT.components.schemas));
  const used = [...TEXT.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
  t.deepEqual(
    used.filter((name) => !names.has(name)),
    [],
  );
  for (const name of ['Entry', 'BackupSet', 'Change', 'Client']) t.true(used.includes(name), name);
});

test('open routes need no login, and others say how to log in', (t) => {
  t.deepEqual(operation('/health').security, []);
  t.deepEqual(operation('/clients').security, [{ token: [] }, { password: [] }]);
  t.truthy(operation('/clients').responses['401']);
});

test('answers that are no JSON have their types and statuses', (t) => {
  const content = operation('/clients/{client}/sets/{set}/content').responses;
  t.deepEqual(Object.keys(content), ['200', '206', '304', '401', '416', 'default']);
  const archive = operation('/clients/{client}/sets/{set}/archive').responses['200']!.content!;
  t.deepEqual(Object.keys(archive), ['application/zip', 'application/x-tar']);
});
