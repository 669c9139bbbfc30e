/** Changes the catalog of the client "me", as an attacker with access to the store could. */
import path from 'node:path';
import { nodeSystem, type SqlDatabase } from '../../src/system/index.js';

export function changeCatalog(store: string, how: (catalog: SqlDatabase) => void): void {
  const file = path.join(store, 'me', 'tardis.db');
  const catalog = nodeSystem().openDatabase(file, { readonly: false });
  try {
    how(catalog);
  } finally {
    catalog.close();
  }
}
