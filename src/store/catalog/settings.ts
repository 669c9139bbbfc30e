/** Settings stored with a client, and the configurations that clients reported with their sets. */
import type { KeptSetting } from '../../model/index.js';
import type { SqlDatabase, SqlStatement } from '../../system/index.js';

export class KeptSettings {
  /** False for a catalog of an older version, which has no such tables but can be read as it is. */
  private readonly isThere: boolean;
  private statementsMade: Readonly<Record<'all' | 'put' | 'remove', SqlStatement>> | undefined;
  private configsMade: Readonly<Record<'of' | 'put', SqlStatement>> | undefined;
  private readonly database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.database = database;
    const find = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'set_configs'");
    this.isThere = find.get() !== undefined;
  }

  private get statements() {
    const { database } = this;
    this.statementsMade ??= {
      all: database.prepare('SELECT key, value FROM settings ORDER BY key'),
      put: database.prepare('INSERT OR REPLACE INTO settings VALUES (?, ?)'),
      remove: database.prepare('DELETE FROM settings WHERE key = ?'),
    };
    return this.statementsMade;
  }

  private get configs() {
    const { database } = this;
    this.configsMade ??= {
      of: database.prepare('SELECT config FROM set_configs WHERE set_number = ?').pluck(),
      put: database.prepare('INSERT OR REPLACE INTO set_configs VALUES (?, ?)'),
    };
    return this.configsMade;
  }

  /** Returns the settings, sorted by key. */
  all(): KeptSetting[] {
    return this.isThere ? (this.statements.all.all() as KeptSetting[]) : [];
  }

  /** Stores a setting; an undefined `value` deletes it. */
  put(key: string, value: string | undefined): void {
    if (value === undefined) this.statements.remove.run(key);
    else this.statements.put.run(key, value);
  }

  /** Returns the configuration of the client that made a set, if it was reported. */
  configOf(set: number): string | undefined {
    return this.isThere ? (this.configs.of.get(set) as string | undefined) : undefined;
  }

  putConfig(set: number, config: string): void {
    this.configs.put.run(set, config);
  }
}

/** Returns the settings of a client by key. */
export function settingsOf(catalog: {
  readonly settings: KeptSettings;
}): ReadonlyMap<string, string> {
  return new Map(catalog.settings.all().map(({ key, value }) => [key, value]));
}
