/** Settings kept with a client, and what the clients of its sets were set to. */
import type { KeptSetting } from '../model/index.js';
import type { SqlDatabase, SqlStatement } from '../system/index.js';

export class KeptSettings {
  /** False: a catalog of an older version, which may be read as it is, has none. */
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

  /** By key. */
  all(): KeptSetting[] {
    return this.isThere ? (this.statements.all.all() as KeptSetting[]) : [];
  }

  /** `value` undefined: it is not set any more. */
  put(key: string, value: string | undefined): void {
    if (value === undefined) this.statements.remove.run(key);
    else this.statements.put.run(key, value);
  }

  /** What the client of a set was set to, if it has told. */
  configOf(set: number): string | undefined {
    return this.isThere ? (this.configs.of.get(set) as string | undefined) : undefined;
  }

  putConfig(set: number, config: string): void {
    this.configs.put.run(set, config);
  }
}

/** The settings of a client, by their keys, as texts. */
export function settingsOf(catalog: {
  readonly settings: KeptSettings;
}): ReadonlyMap<string, string> {
  return new Map(catalog.settings.all().map(({ key, value }) => [key, value]));
}
