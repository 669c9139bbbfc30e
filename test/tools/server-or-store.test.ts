/**
 * Readers use a server only if it is set with a higher precedence than a store, and a backup with Local only if it is
 * set with a higher precedence than Local.
 */
import test from 'ava';
import { type Found, isSetAbove, type Sourced } from '../../src/config/index.js';
import { usesServer } from '../../src/tools/index.js';

/** Sources as docs/using/configuration.md orders them, the lowest first. */
const RISING: readonly Found['source'][] = [
  'built-in',
  'system defaults',
  'environment',
  'configuration file',
  'command line',
];

function foundAt(sources: Readonly<Record<string, Found['source'] | undefined>>): Sourced {
  const found = new Map<string, Found>();
  for (const [name, source] of Object.entries(sources)) {
    if (source !== undefined) found.set(name, { value: 'x', source, where: '' });
  }
  return { sources: found };
}

for (const [database, store] of [undefined, ...RISING].entries()) {
  for (const [server, host] of [undefined, ...RISING].entries()) {
    const title = `a server from ${host ?? 'nowhere'} and a store from ${store ?? 'nowhere'}`;
    test(title, (t) => {
      // A built-in default names no server that anybody chose.
      const rank = (index: number): number => Math.max(index, 1);
      const isAbove = rank(server) > rank(database);
      t.is(usesServer(foundAt({ server: host, database: store })), isAbove);
      t.is(isSetAbove(foundAt({ server: host, local: store }), 'server', 'local'), isAbove);
    });
  }
}
