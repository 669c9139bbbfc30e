/** The overview: all clients, the space over time, and what a purge would delete. */
import { api, type BackupSet, type Client } from '../api.js';
import { useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { shownAgo, shownName, shownTime } from '../parts/shown.js';
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
        {clients.value === undefined ? null : <Clients clients={clients.value} />}
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

function Clients({ clients }: { readonly clients: readonly Client[] }) {
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
            <ClientRow key={client.name} client={client} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ClientRow({ client }: { readonly client: Client }) {
  const { name, lastCompletedMs, completeSets, isOverdue, encrypts, fault } = client;
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
          {fault !== undefined ? (
            <span class="mark mark-bad">
              {t('fault')} [{fault}]
            </span>
          ) : isOverdue ? (
            <span class="mark mark-late">{t('overdue')}</span>
          ) : (
            <span class="mark mark-good">{t('onTime')}</span>
          )}
          {encrypts ? <span class="mark">{t('encrypted')}</span> : null}
        </span>
      </td>
    </tr>
  );
}
