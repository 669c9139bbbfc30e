/** Settings stored with a client, and the configurations that clients reported with their sets. */
import type { ClientConfig, ClientSetting, SetNumber } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';
import { configColumn, configIn } from './sets.js';

export class ClientSettings {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      all: database.query('SELECT key, value FROM settings ORDER BY key', {
        key: 'text',
        value: 'text',
      }),
      put: database.prepare('INSERT OR REPLACE INTO settings VALUES (?, ?)'),
      remove: database.prepare('DELETE FROM settings WHERE key = ?'),
      config: database.query('SELECT config FROM set_configs WHERE set_number = ?', 'blob'),
      putConfig: database.prepare('INSERT OR REPLACE INTO set_configs VALUES (?, ?)'),
    };
  }

  /** Returns the settings, sorted by key. */
  all(): ClientSetting[] {
    return this.statements.all.all();
  }

  /** Stores a setting; an undefined `value` deletes it. */
  put(key: string, value: string | undefined): void {
    if (value === undefined) this.statements.remove.run(key);
    else this.statements.put.run(key, value);
  }

  /** Returns the configuration that a client reported with a set; undefined if there is none, or it is malformed. */
  configOf(set: SetNumber): ClientConfig | undefined {
    return configIn(this.statements.config.get(set));
  }

  putConfig(set: SetNumber, config: ClientConfig): void {
    this.statements.putConfig.run(set, configColumn(config));
  }
}

/** Returns the settings of a client by key. */
export function settingsOf(catalog: {
  readonly settings: ClientSettings;
}): ReadonlyMap<string, string> {
  return new Map(catalog.settings.all().map(({ key, value }) => [key, value]));
}
