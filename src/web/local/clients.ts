/**
 * The clients that the page shows: the first one, which is open from the start, and others, in the same store or
 * elsewhere, which are opened when they are looked at.
 */
import { Type } from 'typebox';
import type { RecordDecoder } from '../../contents/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { MINUTE_MS } from '../../model/index.js';
import { BoundedCache, type System } from '../../system/index.js';
import {
  type AddedRoute,
  addedRoute,
  post,
  HistoryPool,
  type Lease,
  OpenContents,
} from '../api/index.js';
import type { Commands, Offer } from './acts.js';
import type { Restored } from './restores.js';
import { ClientName } from './schemas.js';

/** Maximum number of other clients that are open at once. */
const MOST_OPEN = 8;
/** Time after the last request for another client at which it is closed; one that encrypts then needs its password again. */
const OPEN_MS = 15 * MINUTE_MS;
/** Maximum number of clients whose wrong passwords are remembered. */
const MOST_REFUSED = 1024;
const MAX_PASSWORD_CHARS = 1024;

/** A client as the page shows it, without its data. */
export interface ShownClient {
  /** Its name in addresses. */
  readonly name: string;
  /** Runs the commands of acts; absent if there are none. */
  readonly commands?: Commands | undefined;
  /** The options by which a command finds the store. */
  readonly storeWords?: string | undefined;
  /** Notes a restore: the damage that it has found, or that it has proven the backups. Must not throw. */
  readonly noteRestored?: ((history: History, restored: Restored) => Promise<void>) | undefined;
}

/** The clients beside the first one. */
export interface OtherClients {
  /** Throws NO_SUCH_CLIENT. */
  find(name: string): ShownClient;
  /**
   * Opens a client by a password, or without one by what is configured for this client alone. Never prompts. Throws
   * PASSWORD_NEEDED, LOGIN_FAILED, NO_SUCH_CLIENT, and other errors of opening.
   */
  open(name: string, password: string | undefined): Promise<History>;
  /** Called when a client is closed. */
  closed(history: History): void;
}

interface ClientsOptions {
  readonly system: System;
  readonly decoder: RecordDecoder;
  readonly first: ShownClient;
  /** The data of the first client, which the caller closes. */
  readonly history: History;
  readonly others?: OtherClients | undefined;
}

export class Clients {
  private readonly contents: OpenContents;
  private readonly pool: HistoryPool;
  /** Clients whose configured password was wrong. It is tried once, since a server counts failures. */
  private readonly refused = new BoundedCache<string, TardisError>(MOST_REFUSED);
  /** True once the catalog of the first client was replaced. It is then opened like the others. */
  private isFirstOver = false;
  private unlocking: { readonly name: string; readonly done: Promise<void> } | undefined;

  constructor(private readonly options: ClientsOptions) {
    const { system, decoder, history, others } = options;
    this.contents = new OpenContents(system, history, decoder);
    this.pool = new HistoryPool(system, decoder, {
      most: MOST_OPEN,
      idleMs: OPEN_MS,
      onClosed: (closed) => others?.closed(closed),
    });
  }

  /** Returns a client by its name in addresses; the first one without a name. Throws NO_SUCH_CLIENT. */
  find(name: string = this.options.first.name): ShownClient {
    const { first, others } = this.options;
    if (name === first.name) return first;
    if (others !== undefined) return others.find(name);
    throw new TardisError('NO_SUCH_CLIENT', `the client that is open is "${first.name}"`);
  }

  /** Returns a client and its commands. Throws NO_SUCH_CLIENT, and NOT_PERMITTED without this offer. */
  offering(name: string, offer: Offer): ShownClient & { readonly commands: Commands } {
    const found = this.find(name);
    const { commands } = found;
    if (commands?.offers.includes(offer) === true) return { ...found, commands };
    throw new TardisError('NOT_PERMITTED', `"${offer}" is not offered for this client`);
  }

  /** Returns the data of a client that is open; undefined for others. */
  opened(name: string): History | undefined {
    const { first, history } = this.options;
    return name === first.name && !this.isFirstOver ? history : this.pool.find(name);
  }

  /** Returns the data of all clients that are open. */
  allOpened(): History[] {
    return [this.options.history, ...this.pool.all()];
  }

  /** Opens a client for a request. Throws the errors of `OtherClients.open`, and TOO_MANY_REQUESTS. */
  async lease(name: string): Promise<Lease> {
    const { first, history, others } = this.options;
    if (name === first.name) {
      this.isFirstOver ||= others !== undefined && (await isReplaced(history));
    }
    if (others === undefined || (name === first.name && !this.isFirstOver)) {
      this.find(name);
      const { contents } = this;
      return { history, contents, isSealed: false, release: () => undefined };
    }
    if (this.unlocking?.name === name) await this.unlocking.done;
    const refused = this.refused.get(name);
    if (refused !== undefined) throw refused;
    const known = this.pool.find(name);
    if (known !== undefined && (await isReplaced(known))) this.pool.retire(name, known);
    return this.pool.lease(name, () => this.open(others, name));
  }

  /** Opens a client by its password. Throws LOGIN_FAILED, CLIENT_BUSY while another one is being opened by its password. */
  async unlock(name: string, password: string): Promise<void> {
    const { others } = this.options;
    this.find(name);
    if (others === undefined || this.opened(name) !== undefined) return;
    // Each password is stretched, which takes much memory.
    if (this.unlocking !== undefined) {
      throw new TardisError('CLIENT_BUSY', 'another client is being opened by its password');
    }
    const work = this.unlockNow(others, name, password);
    const done = work.catch(() => undefined); // the caller gets the error
    this.unlocking = { name, done };
    try {
      await work;
    } finally {
      this.unlocking = undefined;
    }
  }

  /** Stops using the data of all clients; that of the first one stays open. */
  async close(): Promise<void> {
    await this.pool.close();
    this.contents.close();
  }

  private async unlockNow(others: OtherClients, name: string, password: string): Promise<void> {
    let isTried = false;
    const attempt = async (): Promise<void> => {
      const lease = await this.pool.lease(name, () => {
        isTried = true;
        return this.open(others, name, password);
      });
      lease.release();
    };
    await attempt().catch(async (error: unknown) => {
      if (isTried) throw error;
      await attempt(); // it had joined a request that came before, without a password
    });
    this.refused.delete(name);
  }

  private async open(
    others: OtherClients,
    name: string,
    password?: string,
  ): Promise<{ readonly history: History; readonly isSealed: boolean }> {
    try {
      return { history: await others.open(name, password), isSealed: false };
    } catch (error) {
      const known = asTardisError(error);
      if (password === undefined && known.code === 'LOGIN_FAILED') this.refused.set(name, known);
      throw error;
    }
  }
}

/**
 * True if a rewrite or a rebuild has replaced the catalog that is read, which gets no further sets then and has paths that were
 * forgotten.
 */
async function isReplaced({ directory, reports }: History): Promise<boolean> {
  if (directory === undefined) return false; // the server that reads it decides
  try {
    return (await reports.store()).isReplaced;
  } catch {
    return false; // the request itself reports a store that cannot be read
  }
}

/** Returns the route that opens a client by its password, which is in no log. */
export function unlockRoute(clients: Clients): AddedRoute {
  return addedRoute(
    post('/unlocks', 'read', {
      summary:
        'Opens a client by its password, until it was not looked at for 15 minutes. It opens no other client.',
      body: Type.Object({
        client: ClientName,
        password: Type.String({ minLength: 1, maxLength: MAX_PASSWORD_CHARS }),
      }),
      reply: Type.Object({}),
    }),
    async ({ body: { client, password } }) => {
      await clients.unlock(client, password);
      return {};
    },
  );
}
