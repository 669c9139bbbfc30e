/**
 * The server: listens, keeps one backup session for each client, and stops at a checkpoint. Its dependencies are
 * passed in, so that the tool `tardisd` and the tests start it in the same way.
 */
import type { Logger } from 'pino';
import { TardisError } from '../errors/index.js';
import { describeAddress, type SocketAddress, type System, within } from '../system/index.js';
import {
  type Connection,
  DEFAULT_GATE,
  type InnerListener,
  linkWith,
  listen,
  type LinkOptions,
  type ListenOptions,
  type ListenPlace,
  servePiped,
} from '../transport/index.js';
import { certificateEndMs, validityFault } from './login/certificate.js';
import { type LoginOptions, LoginService } from './login/login.js';
import { Quotas } from './quotas.js';
import type { Right } from '../model/index.js';
import { endBackupRequest, mediumOf } from '../store/index.js';
import type { ClientSession, Visit } from './client-session.js';
import { RunRecorder } from './run-recorder.js';
import { ServerConnection } from './server-connection.js';
import type { SessionServices } from './session-services.js';
import { Nodes } from './bucket-servers.js';
import { lookAt, placeOf, type SharedClients } from './shared-clients.js';
import type { ProfilePlan } from './session-profile.js';
import type { StorageHost } from './storage/storage-host.js';
import type { StorageOptions } from './storage/storage-options.js';
import { GcScheduler, type GcPlan } from './gc-scheduler.js';
import { MetricsEndpoint } from './monitor/endpoint.js';
import { StoreHealth } from './monitor/store-health.js';
import { Watch, type Watched, type WatchPlan } from './monitor/monitor.js';

/** Maximum time for which a new session waits until the previous one of its client is over. */
const LEAVING_MS = 1000;
const MAX_CONNECTIONS = 1024;

export interface DaemonOptions extends LoginOptions {
  /** Where the server listens: an address, or what a client in this process connects to. */
  readonly address: ListenPlace | InnerListener;
  /** Certificate for TLS; without it, the server uses plain TCP. */
  readonly certificate?: ListenOptions['certificate'];
  /** Maximum number of milliseconds from the acceptance of a connection to the end of its login. */
  readonly loginTimeoutMs: number;
  readonly creditBytes: number;
  readonly timeoutMs: number;
  /**
   * True to serve one session and stop when its connection ends. Over TCP, a connection counts only after login.
   */
  readonly single: boolean;
  /** Milliseconds for which a session without a connection waits for its client; 0 ends it with its connection. */
  readonly parkMs: number;
  /** Maximum number of parked sessions; beyond that, the session that was parked first ends. */
  readonly maxParked: number;
  readonly logExceptions?: boolean;
  /** Gets the error with which a session ended, in place of the log. */
  readonly onFault?: ((error: TardisError) => void) | undefined;
  /**
   * True if owners may copy their clients from other stores to this server. Copied sets keep the times of the other
   * store, so such owners choose the times of their sets.
   */
  readonly acceptCopies?: boolean;
  /** Access to the bucket, if the store is one that other servers and machines use too; otherwise undefined. */
  readonly shared?: SharedClients | undefined;
  /** Rights that sessions have at most; undefined for no limit. */
  readonly restricted?: ReadonlySet<Right> | undefined;
  readonly storageOptions: StorageOptions;
  /** Plan for garbage collection; undefined if this server does none. */
  readonly gc?: GcPlan | undefined;
  /** Plan for CPU profiles of sessions; undefined if none are made. */
  readonly profiles?: ProfilePlan | undefined;
  /** Called after the session of a client has ended. */
  readonly onLeft?: ((visit: Visit) => void) | undefined;
  /** Plan for monitoring; undefined if clients are not monitored. */
  readonly watch?: WatchPlan | undefined;
}

/** The options that a daemon that runs can change. */
export type RenewableOptions = Omit<DaemonOptions, 'address' | 'certificate' | 'shared' | 'onLeft'>;

/** The open address of a daemon, or what clients in its process connect to. */
interface Opened {
  readonly address: ListenPlace | InnerListener;
  /** Stops accepting; open connections stay open. */
  close(): Promise<void>;
}

export class Daemon {
  /** Resolves when the daemon has stopped. */
  readonly stopped: Promise<void>;
  private readonly settling = Promise.withResolvers<void>();
  private readonly connections = new Set<ServerConnection>();
  /** Backup sessions, connected or parked. */
  private readonly byClient = new Map<string, ClientSession>();
  private isStopping = false;
  private readonly listener: Opened;
  private options: DaemonOptions;
  private readonly log: Logger;
  private services: SessionServices;
  private readonly gc: GcScheduler;
  private readonly watch: Watch | undefined;
  private readonly recorder: RunRecorder;
  private readonly health: StoreHealth;
  private readonly nodes: Nodes | undefined;
  private metrics: MetricsEndpoint | undefined;

  private constructor(
    private readonly system: System,
    private readonly storage: StorageHost,
    {
      options,
      log,
      listener,
    }: { readonly options: DaemonOptions; readonly log: Logger; readonly listener: Opened },
  ) {
    this.options = options;
    this.log = log;
    this.listener = listener;
    this.stopped = this.settling.promise;
    const { baseDir, catalogFile, shared } = options;
    const leftTo = shared && this.leftTo(shared);
    this.recorder = new RunRecorder(system, options, log);
    const collected = this.recorder.collected.bind(this.recorder);
    const place = { baseDir, catalogFile, collected, ...(leftTo === undefined ? {} : { leftTo }) };
    this.gc = new GcScheduler(system, storage, { place, plan: options.gc, log });
    this.nodes = this.joinNodes(system);
    this.health = new StoreHealth(shared && (() => this.requireStore(shared)), system.clock, log);
    this.watch =
      options.watch &&
      new Watch(system, storage, {
        place: options,
        plan: options.watch,
        watched: this.watched(system),
        recorder: this.recorder,
        log,
      });
    this.services = this.servicesWith(system, {
      incarnation: system.random.bytes(16),
      quotas: new Quotas(system, storage, options, log),
    });
  }

  /** Returns the parts that sessions use, by the options that are in force. */
  private servicesWith(
    system: System,
    lasting: Pick<SessionServices, 'incarnation' | 'quotas'>,
  ): SessionServices {
    const { options, storage, log } = this;
    return {
      ...options,
      ...lasting,
      system,
      storage,
      log,
      nodes: this.nodes,
      login: new LoginService(system, { ...options, ...fetchOf(options) }, log),
      parkMs: options.single ? 0 : options.parkMs,
      claim: (session) => this.claim(session),
      sessionOf: (client) => this.byClient.get(client),
      isRequested: (directory) => mediumOf(system, directory).isRequested(),
      parked: () => this.limitParked(),
      refused: (client, error) => this.recorder.refused(client, error),
      left: options.onLeft,
    };
  }

  /** Starts listening. Throws LISTEN_FAILED if an address cannot be listened on. */
  static async start(
    system: System,
    storage: StorageHost,
    options: DaemonOptions,
    log: Logger,
  ): Promise<Daemon> {
    const link = linkWith(options.timeoutMs);
    // Connections may be accepted before `listen` has returned.
    const early: Connection[] = [];
    let accept = (connection: Connection): void => void early.push(connection);
    const { address, certificate, loginTimeoutMs } = options;
    const metrics = await openMetricsEndpoint(options, log);
    let listener: Opened;
    try {
      listener = await open(system, address, link, {
        onConnection: (connection) => accept(connection),
        certificate,
        gate: { ...DEFAULT_GATE, deadlineMs: loginTimeoutMs },
      });
    } catch (error) {
      await metrics?.close();
      throw error;
    }
    const daemon = new Daemon(system, storage, { options, log, listener });
    daemon.beginWatch(metrics);
    accept = (connection) => daemon.accept(connection);
    early.forEach(accept);
    const { address: place } = listener;
    log.info({ address: shownPlace(place) }, 'listening');
    return daemon;
  }

  /**
   * Uses other options from now on: for connections, garbage collection and monitoring. Sessions that have begun go on by
   * theirs, and whether the server monitors clients at all stays as it is.
   */
  renew(options: RenewableOptions): void {
    const { address, certificate, shared, onLeft } = this.options;
    this.options = { ...options, address, certificate, shared, onLeft };
    this.services = this.servicesWith(this.services.system, this.services);
    this.gc.renew(options.gc);
    if (options.watch !== undefined) this.watch?.renew(options.watch);
  }

  /** The address on which the server listens. Throws INTERNAL if it listens on none. */
  get address(): SocketAddress {
    const { address } = this.listener;
    if (address.kind === 'tcp' || address.kind === 'unix') return address;
    throw new TardisError('INTERNAL', 'the server listens on no address');
  }

  /** True if there is no connection now. */
  get isIdle(): boolean {
    return this.connections.size === 0;
  }

  /** Ends every session at a checkpoint, then stops. May be called twice. */
  async stop(): Promise<void> {
    if (this.isStopping) return this.stopped;
    this.isStopping = true;
    const watchOver = this.watch?.stop(); // sessions that end now do not count as failures
    const closed = this.listener.close();
    const reason = new TardisError('SERVER_STOPPING', 'the server is stopping');
    await Promise.all([...this.connections].map((one) => one.stop(reason)));
    await Promise.all([...this.connections].map((one) => one.over));
    await Promise.all([...this.byClient.values()].map((session) => session.end())); // parked ones
    await this.gc.stop();
    await this.nodes?.close();
    await watchOver;
    await this.metrics?.close();
    await this.recorder.settled();
    await this.storage.close();
    await closed;
    this.log.info('stopped');
    this.settling.resolve();
  }

  private beginWatch(metrics: MetricsEndpoint | undefined): void {
    this.metrics = metrics;
    metrics?.show({
      metrics: () => this.watch!.metrics(),
      health: async () => (await this.health.look()) ?? this.watch!.storeFault(),
    });
    this.watch?.start();
  }

  /**
   * Returns the object that announces this server's sessions to the other servers of a bucket. Returns undefined
   * without a bucket, or if the server listens on a socket of this machine only.
   */
  private joinNodes(system: System): Nodes | undefined {
    const { leases, place: given } = this.options.shared ?? {};
    const place = leases && placeOf(this.listener.address, given);
    if (leases === undefined || place === undefined) return undefined;
    const isAlive = ({ isEnding, isDead }: ClientSession): boolean => !isEnding && !isDead;
    const clients = (): string[] =>
      [...this.byClient].filter(([, session]) => isAlive(session)).map(([client]) => client);
    return new Nodes({ system, leases, place, clients, log: this.log });
  }

  /**
   * Returns a function that decides if garbage collection leaves a client of a bucket to another server. The function
   * returns the reason, or undefined if the client is processed here. In rounds over all clients, only the machine that
   * wrote to a client last collects its garbage.
   */
  private leftTo(
    shared: SharedClients,
  ): (client: string, isRound: boolean) => Promise<string | undefined> {
    return async (client, isRound) => {
      const owner = await this.nodes?.ownerOf(client);
      if (owner !== undefined) return `${owner.host}:${owner.port} has a session of the client`;
      const isLeft = isRound && (await shared.isBehind(client));
      return isLeft ? 'another machine has written to the client' : undefined;
    };
  }

  /**
   * Rejects if backups cannot begin here: the bucket cannot be reached, or this server's lease could not be renewed.
   */
  private async requireStore(shared: SharedClients): Promise<void> {
    await shared.requireBucket();
    if (this.nodes?.isRenewed === false) {
      throw new TardisError('BUCKET_FAILED', 'the lease of this server could not be renewed');
    }
  }

  private watched({ clock }: System): Watched {
    const { certificate } = this.options;
    return {
      hasSession: (client) => this.byClient.has(client),
      bringUpToDate: async (client) => {
        if (!this.byClient.has(client)) await this.options.shared?.refresh(client);
      },
      lookAtStore: () => this.health.look(),
      certificateFault: () => {
        return certificate && validityFault(certificate.cert, clock.nowMs());
      },
      figures: () => ({
        sessions: this.byClient.size,
        parkedSessions: [...this.byClient.values()].filter(({ isParked }) => isParked).length,
        connections: this.connections.size,
        storeAnswers: this.health.answers,
        certificateEndsAtMs: certificate && certificateEndMs(certificate.cert),
      }),
    };
  }

  private accept(connection: Connection): void {
    const isFull = this.connections.size >= MAX_CONNECTIONS;
    if (this.isStopping || isFull || (this.options.single && this.hasSession)) {
      connection.fail(new TardisError('CLIENT_BUSY', 'the server takes no further session'));
      return;
    }
    const served = new ServerConnection(connection, this.services);
    this.connections.add(served);
    served.over
      .then(async () => {
        this.connections.delete(served);
        if (served.client !== undefined) void this.gc.sessionEnded(served.client, {});
        if (this.options.single && served.counts) await this.leave();
      })
      .catch((error: unknown) => this.log.error({ err: error }, 'ending a session failed'));
  }

  /** Stops the server after its only session, once the work after that session is done. */
  private async leave(): Promise<void> {
    await Promise.all([...this.byClient.values()].map((session) => session.over));
    await this.gc.settled();
    await this.stop();
  }

  private get hasSession(): boolean {
    return [...this.connections].some(({ counts }) => counts);
  }

  private async claim(session: ClientSession): Promise<void> {
    const { client } = session;
    if (this.options.single && this.byClient.size > 0) {
      throw new TardisError('CLIENT_BUSY', 'the server takes no further session');
    }
    await this.lastMoments(client);
    // Looked up again after each wait, because another session may have been faster.
    for (let other = this.byClient.get(client); other; other = this.byClient.get(client)) {
      if (!other.isEnding) {
        if (!other.isDead) {
          throw new TardisError('CLIENT_BUSY', `the client "${client}" has a session`);
        }
        this.log.warn({ client }, 'a dead session is replaced');
        await other.cut();
      }
      await other.over;
      if (this.byClient.get(client) === other) this.byClient.delete(client);
    }
    this.byClient.set(client, session);
    this.nodes?.changed();
    void session.over.then(() => {
      if (this.byClient.get(client) === session) this.byClient.delete(client);
      this.nodes?.changed();
      const { requestsPurge: isPurge, mayPurge } = session;
      const settled = this.gc.sessionEnded(client, { hasGrown: true, isPurge, mayPurge });
      // A server for one session leaves the record to its client.
      if (!this.options.single && !this.isStopping) void this.recorder.sessionEnded(session);
      this.watch?.sessionEnded(client);
      if (session.outcome !== 'none') this.endRequest(client);
      void settled.then((outcome) => session.settled(outcome));
    });
  }

  /** Ends the request for a backup of a client. If that fails, it is logged, and the client makes another backup. */
  private endRequest(client: string): void {
    const { options, system, log } = this;
    try {
      endBackupRequest(system, options.baseDir, client);
    } catch (error) {
      log.error({ client, err: error }, 'the request for a backup stays');
    }
  }

  /**
   * Waits briefly for a session that is about to end. A client disconnects without waiting for the server, so its next
   * session may begin before the server has detected the end of the previous one.
   */
  private async lastMoments(client: string): Promise<void> {
    const other = this.byClient.get(client);
    if (other === undefined || other.isEnding || other.isParked) return;
    await within(other.over, LEAVING_MS, () => undefined);
  }

  /** Ends the oldest parked sessions beyond the limit, because parked sessions hold memory and locks. */
  private limitParked(): void {
    const parked = [...this.byClient.values()]
      .filter((session) => session.isParked)
      .sort((one, other) => one.parkedAtMs - other.parkedAtMs);
    for (const session of parked.slice(0, -this.options.maxParked || parked.length)) {
      this.log.warn({ client: session.client }, 'too many sessions are parked: this one ends');
      void session.end();
    }
  }
}

function shownPlace(place: ListenPlace | InnerListener): string {
  if (place.kind === 'piped') return 'standard input and output';
  return place.kind === 'inner' ? 'this process' : describeAddress(place);
}

/** Starts to listen on an address, or for clients in this process. Throws LISTEN_FAILED. */
async function open(
  system: System,
  place: ListenPlace | InnerListener,
  link: LinkOptions,
  options: ListenOptions,
): Promise<Opened> {
  if (place.kind === 'piped') {
    const { close } = await servePiped(system, place, link, options);
    return { address: place, close };
  }
  if (place.kind !== 'inner') return listen(system, place, link, options);
  place.open(link, options.onConnection);
  return { address: place, close: async () => place.close() };
}

async function openMetricsEndpoint(
  { watch }: DaemonOptions,
  log: Logger,
): Promise<MetricsEndpoint | undefined> {
  if (watch?.metricsAddress === undefined) return undefined;
  const metrics = await MetricsEndpoint.open(watch.metricsAddress);
  log.info({ port: metrics.port }, 'metrics are given out');
  return metrics;
}

/**
 * Returns the function that fetches the small files of clients in a bucket before a login. The rate of its requests is
 * bounded, since any peer can begin a login.
 */
function fetchOf({ shared }: DaemonOptions): Pick<LoginOptions, 'fetch'> {
  return shared === undefined
    ? {}
    : { fetch: (client, account) => lookAt(shared, client, account) };
}
