/** Metrics of a server and its clients, as gauges. */
import { tookMs } from '../../history/index.js';
import { type ClientState, countErrors } from '../../model/index.js';
import { type Gauge, openMetrics, type Sample } from './open-metrics.js';
import type { ClientStanding, GoodSet, StoreFigures } from '../storage/client-standing.js';

/** State of a client when it was last examined. */
export interface ClientFigures {
  readonly client: string;
  /** State of the client; undefined if its catalog could not be read. */
  readonly standing: Omit<ClientStanding, 'figures'> | undefined;
  /** The newest complete set that was seen, also of a client that cannot be seen now. */
  readonly newest: GoodSet | undefined;
  readonly store: StoreFigures | undefined;
  /** Milliseconds since the newest complete set ended, or since the client was created if it has none. */
  readonly ageMs: number;
  /** Age of the newest complete set from which the client is overdue; 0: never. */
  readonly overdueAfterMs: number;
  readonly isOverdue: boolean;
  /** True if the last session with a set did not complete it. */
  readonly isFailing: boolean;
  readonly state: ClientState;
}

/** Present activity of the server. */
export interface ServerFigures {
  /** Number of clients with a backup in progress. */
  readonly sessions: number;
  /**
   * Number of clients whose backup is parked: it has lost its connection, and waits until the client connects again.
   */
  readonly parkedSessions: number;
  readonly connections: number;
  readonly startedAtMs: number;
  /** Time at which clients were last examined; undefined if they were not examined yet. */
  readonly lookedAtMs: number | undefined;
  /** False if the store, which had clients, could not be seen at the last look. */
  readonly isStoreReadable: boolean;
  readonly freeBytes: number | undefined;
  /** True if the bucket of the store answered; undefined for a store in a directory. */
  readonly storeAnswers: boolean | undefined;
  /** Time at which the certificate expires; undefined without TLS. */
  readonly certificateEndsAtMs: number | undefined;
}

const seconds = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms) / 1000;

/** Returns the text for collectors of metrics. */
export function metricsText(server: ServerFigures, clients: readonly ClientFigures[]): string {
  return openMetrics([...serverGauges(server, clients.length), ...clientGauges(clients)]);
}

function serverGauges(server: ServerFigures, clients: number): Gauge[] {
  const one = (name: string, help: string, value: number | undefined): Gauge => ({
    name: `tardis_${name}`,
    help,
    samples: [{ value }],
  });
  const { startedAtMs, lookedAtMs, storeAnswers } = server;
  return [
    one('server_start_time_seconds', 'Time at which the server was started.', seconds(startedAtMs)),
    one(
      'last_look_timestamp_seconds',
      'Time at which all clients were last examined.',
      seconds(lookedAtMs),
    ),
    one('store_free_bytes', 'Free space on the file system of the store.', server.freeBytes),
    one(
      'store_readable',
      '0 if the store was gone at the last look, although it had clients.',
      Number(server.isStoreReadable),
    ),
    one(
      'store_answers',
      '1 if the bucket of the store answered last time.',
      storeAnswers === undefined ? undefined : Number(storeAnswers),
    ),
    one(
      'certificate_expiry_timestamp_seconds',
      'Time at which the certificate of the server expires.',
      seconds(server.certificateEndsAtMs),
    ),
    one('sessions', 'Running backups.', server.sessions),
    one('parked_sessions', 'Backups that wait for a lost connection.', server.parkedSessions),
    one('connections', 'Open connections of clients.', server.connections),
    one('clients', 'Clients in the store.', clients),
  ];
}

/** A gauge with one sample for each client. */
interface ClientGauge {
  readonly name: string;
  readonly help: string;
  readonly valueOf: (figures: ClientFigures) => number | undefined;
}

const ofGood =
  (valueOf: (set: GoodSet) => number | undefined) =>
  ({ newest }: ClientFigures): number | undefined =>
    newest === undefined ? undefined : valueOf(newest);
const countOf = (name: string) => ofGood(({ counts }) => counts[name]);

const GOOD_SET_GAUGES: readonly ClientGauge[] = [
  { name: 'set', help: 'Number of the newest complete set.', valueOf: ofGood(({ set }) => set) },
  {
    name: 'timestamp_seconds',
    help: 'Time at which the newest complete set ended.',
    valueOf: ofGood(({ closedAtMs }) => seconds(closedAtMs)),
  },
  {
    name: 'age_seconds',
    help: 'Age of the newest complete set, or of the client if it has none.',
    valueOf: ({ ageMs }) => seconds(ageMs),
  },
  {
    name: 'duration_seconds',
    help: 'Duration of the newest complete set.',
    valueOf: ofGood((good) => seconds(tookMs({ ...good, stats: good.counts }) ?? 0)),
  },
  {
    name: 'entries',
    help: 'Entries in the newest complete set, counted by its client.',
    valueOf: countOf('entries'),
  },
  {
    name: 'scanned_bytes',
    help: 'Bytes of the files in the newest complete set.',
    valueOf: countOf('scannedBytes'),
  },
  {
    name: 'sent_bytes',
    help: 'Bytes of contents sent for the newest complete set.',
    valueOf: countOf('sentBytes'),
  },
  {
    name: 'stored_bytes',
    help: 'Bytes written for the newest complete set.',
    valueOf: countOf('storedBytes'),
  },
  {
    name: 'unread_entries',
    help: 'Entries that could not be read, or only in part.',
    valueOf: ofGood(unreadIn),
  },
];

const CLIENT_GAUGES: readonly ClientGauge[] = [
  {
    name: 'readable',
    help: '1 if the catalog of the client could be read.',
    valueOf: ({ standing }) => Number(standing !== undefined),
  },
  ...GOOD_SET_GAUGES.map((gauge) => ({ ...gauge, name: `last_good_${gauge.name}` })),
  { name: 'sets', help: 'Complete sets.', valueOf: ({ standing }) => standing?.facts.completeSets },
  {
    name: 'stored_bytes',
    help: 'Space that the client uses in the store, without its catalog.',
    valueOf: ({ store }) => store?.storedBytes,
  },
  {
    name: 'damaged_contents',
    help: 'Contents that are marked as damaged.',
    valueOf: ({ store }) => store?.damagedContents,
  },
  {
    name: 'last_check_timestamp_seconds',
    help: 'Time at which a check last read data of the client.',
    valueOf: ({ state: { proof } }) => seconds(proof?.checkedAtMs),
  },
  {
    name: 'last_restore_timestamp_seconds',
    help: 'Time at which files were last restored and all of their contents had the right digests.',
    valueOf: ({ state: { proof } }) => seconds(proof?.restoredAtMs),
  },
  {
    name: 'overdue_after_seconds',
    help: 'Age of the newest complete set from which the client is overdue; 0: never.',
    valueOf: ({ overdueAfterMs }) => seconds(overdueAfterMs),
  },
  {
    name: 'overdue',
    help: '1 if the client is overdue.',
    valueOf: ({ isOverdue }) => Number(isOverdue),
  },
  {
    name: 'failing',
    help: '1 if the last backup did not complete a set.',
    valueOf: ({ isFailing }) => Number(isFailing),
  },
];

function clientGauges(clients: readonly ClientFigures[]): Gauge[] {
  const states: Gauge = {
    name: 'tardis_client_state',
    help: '1 for the state of the client: good, running, warned, late, failed, never or unknown.',
    samples: clients.map(({ client, state: { state } }) => ({
      labels: { client, state },
      value: 1,
    })),
  };
  const gauges = CLIENT_GAUGES.map(({ name, help, valueOf }) => ({
    name: `tardis_client_${name}`,
    help,
    samples: clients.map(
      (figures): Sample => ({ labels: { client: figures.client }, value: valueOf(figures) }),
    ),
  }));
  return [...gauges, states];
}

function unreadIn({ counts }: GoodSet): number {
  return countErrors(counts);
}
