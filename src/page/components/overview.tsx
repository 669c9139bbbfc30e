/** Overview of all clients, the space over time, and the sets that a purge would delete. */
import { api, type BackupSet, type Client } from '../api.js';
import { useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { type Standing, standingOf, type Timed } from '../logic/calendar.js';
import { shownAgo, shownName, shownTime } from '../logic/shown.js';
import { Notice } from './notice.js';
import { PurgePreview } from './purge-preview.js';
import { SpacePlot } from './space-plot.js';

interface OverviewProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
}

export function Overview({ client, sets }: OverviewProps) {
  const clients = useAnswer('clients', (signal) => api.clients(signal));
  return (
    <div class="overview">
      <section class="card">
        <h2>{t('clients')}</h2>
        {clients.error === undefined ? null : (
          <Notice error={clients.error} again={clients.again} />
        )}
        {clients.value === undefined ? null : (
          <Clients clients={clients.value} own={{ client, sets }} />
        )}
      </section>
      <section class="card">
        <h2>{t('space')}</h2>
        <SpacePlot client={client} />
      </section>
      <section class="card card-wide">
        <h2>{t('purge')}</h2>
        <PurgePreview client={client} sets={sets} />
      </section>
    </div>
  );
}

interface ClientsProps {
  readonly clients: readonly Client[];
  /** The client that is open, with its sets. */
  readonly own: OverviewProps;
}

function Clients({ clients, own }: ClientsProps) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={t('clients')}>
      <table class="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('client')}</th>
            <th scope="col">{t('lastGood')}</th>
            <th scope="col" class="right">
              {t('completeSets')}
            </th>
            <th scope="col">{t('state')}</th>
          </tr>
        </thead>
        <tbody>
          {clients.map((client) => (
            <ClientRow
              key={client.name}
              client={client}
              standing={standingOf(
                client.name === own.client ? own.sets : onlyNewest(client),
                Date.now(),
              )}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Returns the newest complete set of a client, which is all that is known of a client that is not open. */
function onlyNewest({ lastSet = 0, lastCompletedMs }: Client): Timed[] {
  if (lastCompletedMs === undefined) return [];
  return [{ set: lastSet, state: 'complete', openedAtMs: lastCompletedMs }];
}

interface ClientProps {
  readonly client: Client;
  readonly standing: Standing;
}

function ClientRow({ client, standing }: ClientProps) {
  const { name, lastCompletedMs, completeSets, encrypts } = client;
  return (
    <tr>
      <th scope="row">
        <bdi>{shownName(name)}</bdi>
      </th>
      <td>
        {lastCompletedMs === undefined ? (
          t('never')
        ) : (
          <>
            {shownAgo(lastCompletedMs, Date.now(), LOCALE)}
            <span class="faint block">{shownTime(lastCompletedMs, LOCALE)}</span>
          </>
        )}
      </td>
      <td class="right">{completeSets}</td>
      <td>
        <span class="marks">
          <StandingMark client={client} standing={standing} />
          {encrypts ? <span class="mark">{t('encrypted')}</span> : null}
        </span>
      </td>
    </tr>
  );
}

/** Shows whether a client is on time. Shows no alert for a client without a schedule. */
function StandingMark({ client: { isOverdue, fault }, standing }: ClientProps) {
  if (fault !== undefined) {
    return (
      <span class="mark mark-bad">
        {t('fault')} [{fault}]
      </span>
    );
  }
  if (standing.kind === 'late') {
    return <span class="mark mark-late">{t('overdueSince', { n: standing.days })}</span>;
  }
  if (isOverdue) return <span class="mark mark-late">{t('overdue')}</span>;
  return standing.kind === 'onTime' ? <span class="mark mark-good">{t('onTime')}</span> : null;
}
