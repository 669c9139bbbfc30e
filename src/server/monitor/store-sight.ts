/**
 * Decides what a server sees of its store: the clients that are there, and those that were there before and can no longer
 * be seen. If a disk is gone or another file system is mounted over it, an empty directory is in the place of the store,
 * or of a client. That is not the same as a client that was removed.
 */
import path from 'node:path';
import { asTardisError, TardisError } from '../../errors/index.js';
import { listClients } from '../../store/index.js';
import type { System } from '../../system/index.js';

export interface Sight {
  /** The clients that can be seen. */
  readonly clients: readonly string[];
  /** Clients that were known and can no longer be seen, though nothing shows that they were removed. */
  readonly unseen: readonly string[];
  /** The reason why the store cannot be seen; undefined if it can. */
  readonly fault: TardisError | undefined;
}

export class StoreSight {
  /** Device and inode of the directory in which all known clients were seen last. */
  private identity: string | undefined;

  constructor(
    private readonly system: System,
    private readonly store: string,
  ) {}

  /** Lists the clients. Never throws. */
  look(known: readonly string[]): Sight {
    try {
      const before = this.present();
      const clients = listClients(this.system, this.store);
      const missing = known.filter((client) => !clients.includes(client));
      // Compared again behind the listing, since a disk may be mounted or pulled at any moment.
      const isSame = before === this.present() && [undefined, before].includes(this.identity);
      if (missing.length > 0 && !isSame) throw anotherPlace(this.store);
      this.identity = before;
      return { clients, unseen: missing.filter((client) => this.isLeft(client)), fault: undefined };
    } catch (error) {
      return { clients: [], unseen: known, fault: asTardisError(error) };
    }
  }

  /** Returns the reason why the store that was seen cannot be used now; undefined if it can. */
  faultNow(): TardisError | undefined {
    try {
      const present = this.present();
      return [undefined, present].includes(this.identity) ? undefined : anotherPlace(this.store);
    } catch (error) {
      return asTardisError(error);
    }
  }

  private present(): string | undefined {
    return this.system.files.status(this.store)?.identity;
  }

  /** True if the directory of a client is there, but has lost its content. */
  private isLeft(client: string): boolean {
    return this.system.files.status(path.join(this.store, client)) !== undefined;
  }
}

function anotherPlace(store: string): TardisError {
  return new TardisError(
    'NO_SUCH_STORE',
    `${store} is another directory than before, and lacks clients: its disk is probably not mounted`,
  );
}

/** Returns the reason why a client whose directory is there cannot be seen. */
export function emptied(client: string): TardisError {
  return new TardisError(
    'NO_SUCH_CLIENT',
    `the directory of "${client}" is there, but has lost its content: its disk is probably not mounted`,
  );
}
