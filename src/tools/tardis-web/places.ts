/** The stores and servers that the page shows, with their clients. Each client is opened when it is looked at. */
import { createHash } from 'node:crypto';
import { isBucket } from '../../config/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { displayName, displayText, type RunRecord } from '../../model/index.js';
import type { OverviewMemory } from '../../server/index.js';
import { closeSharedStores, openClientDirectory, shownStore } from '../../store/index.js';
import type { Following } from '../../store/writer/index.js';
import {
  absolutePath,
  byteText,
  lastingPlace,
  looseDelay,
  type System,
} from '../../system/index.js';
import type { ListedClient } from '../../web/api/index.js';
import type { OtherClients, ShownClient } from '../../web/local/index.js';
import { noteRestore, ownOverview, waitingFor } from '../opening/run-note.js';
import { configuredHere } from '../shared/configured.js';
import { followBucket } from '../opening/follow-bucket.js';
import { openHistory, usesServer } from '../opening/history.js';
import { clientPlace, clientsHere, noteDamage } from '../opening/local-store.js';
import { withTyped } from '../opening/password.js';
import { shellWord } from '../output/shell-word.js';
import { inBucket } from '../shared/tool-store.js';
import { ALSO_TO, atPlace, forClient, otherJobs, type WebSettings } from './client-settings.js';
import { commandsOf } from './commands.js';

const ID_DIGITS = 8;
/** Time within which a server must report the state of its client; otherwise the state is unknown. */
const STATE_MS = 5000;

/** A store or a server. */
interface Place {
  /** The digits by which addresses name it; empty for the first place. */
  readonly id: string;
  /** Settings of the clients that the configuration names. Those of the first one find other clients, too. */
  readonly named: Map<string, WebSettings>;
  /** Present for a bucket that is in use: it keeps catalogs up to date. */
  following?: Following | undefined;
  /** The clients that it keeps up to date. */
  readonly followed: Set<string>;
  /** The rows that were shown last. */
  seen: ReadonlyMap<string, Row>;
  /** Rows of its clients, which are read again when they change. */
  memory?: OverviewMemory;
}

type Row = Omit<ListedClient, 'place'>;

interface PlacesOptions {
  readonly system: System;
  readonly settings: WebSettings;
  /** Keeps catalogs up to date if the first store is in a bucket. */
  readonly following: Following | undefined;
  readonly warn: (line: string) => void;
}

export class Places implements OtherClients {
  /** True if data of a client that was closed is not proven. */
  isDoubtful = false;
  private readonly places = new Map<string, Place>();
  /** Clients that are open by a password that was typed into the page, which their commands need, too. */
  private readonly typed = new Map<History, { readonly name: string; readonly password: string }>();

  constructor(private readonly options: PlacesOptions) {
    const { settings, following } = options;
    const first = this.add(settings, '');
    first.following = following;
    first.followed.add(settings.client);
    for (const one of [settings, ...otherJobs(settings)]) {
      this.add(one);
      for (const place of one.otherStores) this.add(atPlace(one, place));
    }
  }

  find(name: string): ShownClient {
    const { system, warn, settings: own } = this.options;
    const { webListen } = own; // those of other jobs do not know where the page is reached
    const [place, settings] = this.settingsOf(name);
    const isRemote = usesServer(settings);
    const from = { ...settings, server: isRemote ? settings.server : undefined };
    const typed = [...this.typed.values()].find((one) => one.name === name);
    const keyed = typed === undefined ? settings : withTyped(settings, typed.password);
    return {
      name,
      commands: commandsOf(system, { ...keyed, webListen }, nameIn(place, settings.client)),
      storeWords: storeWords(settings),
      noteRestored: async (history, restored) => {
        await noteDamage(system, settings, restored.failures, { history, isRemote, warn });
        await noteRestore(from, history, restored);
      },
    };
  }

  async open(name: string, password: string | undefined): Promise<History> {
    const { system, warn } = this.options;
    const [place, found] = this.settingsOf(name);
    const settings = await this.entered(place, found);
    const { client, allowUnproven } = settings;
    await place.following?.refresh(client);
    place.followed.add(client);
    const given = password === undefined ? settings : withTyped(settings, password);
    const how = { warn, triesFirst: false };
    const history = await openHistory(system, { ...given, neverPrompts: true }, how);
    try {
      if (allowUnproven) history.acceptUnproven?.();
      await history.sets(); // fails here if the store cannot be read
      if (password !== undefined) this.typed.set(history, { name, password });
      return history;
    } catch (error) {
      history.close();
      throw error;
    }
  }

  closed(history: History): void {
    const { settings, warn } = this.options;
    const { doubts, hasUnproven } = history;
    this.typed.delete(history);
    for (const doubt of doubts) warn(displayText(doubt));
    const isMeant = settings.allowUnproven || hasUnproven === true;
    this.isDoubtful ||= isMeant && doubts.length > 0;
  }

  /** Returns all clients with their states. `opened` returns the data of one that is open. */
  async list(opened: (name: string) => History | undefined): Promise<ListedClient[]> {
    const lists = [...this.places.values()].map(async (place) => {
      const rows = await this.rowsOf(place, opened).catch((error: unknown) =>
        unseenRows(place, error),
      );
      const where = place.id === '' ? {} : { place: shownPlace(mainOf(place)) };
      const known = knownRows(place, rows, this.options.system.clock.nowMs());
      return known.map((row) => ({ ...row, client: nameIn(place, row.client), ...where }));
    });
    return (await Promise.all(lists)).flat();
  }

  /** Brings the clients that are in buckets up to date. Never rejects. */
  async refresh(): Promise<void> {
    for (const { following, followed } of this.places.values()) {
      for (const client of followed) await following?.attempt(client);
    }
  }

  /** Stops using buckets. */
  async close(): Promise<void> {
    const following = [...this.places.values()].flatMap((place) => place.following ?? []);
    for (const one of new Set(following)) await one.close();
    if (following.length > 0) await closeSharedStores();
  }

  /** Adds a client with settings of its own, and its place if it is not known. */
  private add(settings: WebSettings, id?: string): Place {
    const key = keyOf(settings);
    const known = this.places.get(key);
    if (known !== undefined) {
      if (!known.named.has(settings.client)) known.named.set(settings.client, settings);
      return known;
    }
    const digits = id ?? createHash('sha256').update(key).digest('hex').slice(0, ID_DIGITS);
    const named = new Map([[settings.client, settings]]);
    const place: Place = { id: digits, named, followed: new Set(), seen: new Map() };
    this.places.set(key, place);
    return place;
  }

  /** Returns the place and the settings of a client. Throws NO_SUCH_CLIENT. */
  private settingsOf(name: string): [Place, WebSettings] {
    const [client = '', id = ''] = name.split('@');
    const place = [...this.places.values()].find((one) => one.id === id);
    if (place === undefined || nameIn(place, client) !== name) throw noSuchClient(name);
    const known = place.named.get(client);
    if (known !== undefined) return [place, known];
    const store = storeOf(place);
    if (store === undefined) throw noSuchClient(name);
    const settings = forClient(mainOf(place), client);
    openClientDirectory(this.options.system, { ...clientPlace(settings), store });
    return [place, settings];
  }

  /** Returns settings whose store can be read: a bucket is used from now on by its directory on this machine. */
  private async entered(place: Place, settings: WebSettings): Promise<WebSettings> {
    if (usesServer(settings) || !isBucket(settings.sources.get('database'))) return settings;
    if (place.id === '') return { ...settings, database: mainOf(place).database };
    const used = await inBucket('tardis-web', settings);
    place.following ??= await followBucket(used, this.options.warn);
    for (const [client, one] of place.named) {
      place.named.set(client, { ...one, database: used.database });
    }
    return used;
  }

  /** Returns the rows of the clients of a place. Throws errors of a store that cannot be read. */
  private async rowsOf(
    place: Place,
    opened: (name: string) => History | undefined,
  ): Promise<Row[]> {
    const store = storeOf(place);
    if (store === undefined) return rowsAway(place, opened);
    const { system } = this.options;
    const { catalogFile } = mainOf(place);
    const { overviewOf, OverviewMemory: Memory } = await import('../../server/index.js'); // only for the overview
    place.memory ??= new Memory();
    const clients = clientsOf(place, clientsHere(system, store));
    const waiting = (client: string): RunRecord[] => waitingOf(place, client);
    const configured = configuredHere(mainOf(place));
    const { memory } = place;
    return overviewOf(system, { store, catalogFile, memory, waiting, configured }, clients);
  }
}

/**
 * Returns the clients that a place shows, of those that it has; none if it cannot be listed. One that is named for another
 * store counts here only while nothing is known.
 */
function clientsOf({ named, seen, following }: Place, there: readonly string[] = []): string[] {
  const known = there.length > 0 ? there : [...seen.keys()];
  const isListed = following === undefined && known.length > 0;
  const isOwn = ({ sources }: WebSettings): boolean => sources.get('database')?.where !== ALSO_TO;
  const own = [...named].filter(([, settings]) => !isListed || isOwn(settings));
  return [...new Set([...own.map(([client]) => client), ...known])].sort();
}

/** Returns rows with the time at which they were seen. One that an error hides has what was seen before. */
function knownRows(place: Place, rows: readonly Row[], nowMs: number): readonly Row[] {
  const known = rows.map((row): Row => {
    if (row.fault === '') return row.isClosed === true ? row : { ...row, seenAtMs: nowMs };
    const before = place.seen.get(row.client);
    return before?.seenAtMs === undefined ? row : { ...before, fault: row.fault };
  });
  place.seen = new Map(known.map((row) => [row.client, row]));
  return known;
}

/** Returns the records of a client's runs on this machine that its journal does not have yet. */
function waitingOf({ named }: Place, client: string): RunRecord[] {
  const settings = named.get(client);
  if (settings === undefined) return [];
  const throughServer = usesServer(settings) ? settings.server : undefined;
  return waitingFor({ ...settings, throughServer }, client);
}

function noSuchClient(name: string): TardisError {
  return new TardisError('NO_SUCH_CLIENT', `there is no client "${displayText(name)}" here`);
}

/** Returns the settings by which a place was named first. */
function mainOf({ named }: Place): WebSettings {
  const [main] = named.values();
  return main!;
}

function nameIn({ id }: Place, client: string): string {
  return id === '' ? client : `${client}@${id}`;
}

/** Returns a text by which a place is recognized. A disk that is named by its id may be mounted elsewhere each time. */
function keyOf(settings: WebSettings): string {
  const { server, port, database, sources } = settings;
  if (usesServer(settings)) return `server ${server} ${port}`;
  const given = sources.get('database');
  if (isBucket(given)) return `store ${String(given!.value)}`;
  return `store ${lastingPlace(byteText(absolutePath(database)))}`;
}

/** Returns the directory of a store that can be read now; undefined for a server, and for a bucket that is not in use. */
function storeOf(place: Place): string | undefined {
  const main = mainOf(place);
  if (usesServer(main)) return undefined;
  const isAway = isBucket(main.sources.get('database')) && place.following === undefined;
  return isAway ? undefined : clientPlace(main).store;
}

/** Returns rows with an error for the clients of a place, so that the other places are shown. Throws bugs. */
async function unseenRows(place: Place, thrown: unknown): Promise<Row[]> {
  const { code } = asTardisError(thrown);
  if (code === 'INTERNAL') throw thrown;
  const { unseenClient } = await import('../../server/index.js'); // only for the overview
  return clientsOf(place).map((client) => unseenClient(client, code));
}

/** Returns the states of clients on a server, or in a bucket that is not in use, as far as they are open. */
async function rowsAway(
  place: Place,
  opened: (name: string) => History | undefined,
): Promise<Row[]> {
  const { unseenClient } = await import('../../server/index.js'); // only for the overview
  return Promise.all(
    [...place.named.keys()].map(async (client) => {
      const history = opened(nameIn(place, client));
      if (history === undefined) return { ...unseenClient(client), isClosed: true };
      const late = looseDelay(STATE_MS).then(() => unseenClient(client, 'TIMED_OUT'));
      try {
        const own = ownOverview(history, waitingOf(place, client));
        return (await Promise.race([own, late])) ?? unseenClient(client, 'NO_SUCH_CLIENT');
      } catch (error) {
        return unseenClient(client, asTardisError(error).code);
      }
    }),
  );
}

function shownPlace(settings: WebSettings): string {
  if (usesServer(settings)) return displayText(settings.server);
  const { store } = clientPlace(settings);
  const shown = shownStore(store); // the name of a bucket, in place of its directory
  return shown === store ? displayName(settings.database) : displayText(shown);
}

/** Returns the options by which a command finds the same store. */
function storeWords(settings: WebSettings): string {
  if (usesServer(settings)) return `--server ${shellWord(settings.server)}`;
  return `-D ${shellWord(shownPlace(settings))}`;
}
