/** Overview of all clients, the space over time, and the sets that a purge would delete. */
import { api, type BackupSet, type Client, type Store } from '../api.js';
import { useNews } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { shownAgo, shownBytes } from '../logic/shown.js';
import { ClientActs } from './acts.js';
import { JoinMachine } from './administer.js';
import { Clients } from './clients.js';
import { Notice } from './notice.js';
import { PurgePreview } from './purge-preview.js';
import { SetupCard } from './setup-card.js';
import { SpacePlot } from './space-plot.js';
import { Words } from './words.js';

interface OverviewProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  readonly clients: ReturnType<typeof useNews<Client[]>>;
  /** Options by which a command finds the store. */
  readonly storeWords: string;
}

export function Overview({ client, sets, clients, storeWords }: OverviewProps) {
  return (
    <div class="overview">
      <section class="card">
        <h2>{t('clients')}</h2>
        {clients.error === undefined ? null : (
          <Notice error={clients.error} again={clients.again} />
        )}
        {clients.value === undefined ? null : <Clients clients={clients.value} />}
        <StoreFacts client={client} />
        <ClientActs />
      </section>
      <JoinMachine />
      <section class="card">
        <h2>{t('space')}</h2>
        <SpacePlot client={client} />
      </section>
      <SetupCard client={client} />
      <section class="card card-wide">
        <h2>{t('purge')}</h2>
        <PurgePreview client={client} sets={sets} storeWords={storeWords} />
      </section>
    </div>
  );
}

/** Shows how much room the store has, and when its data was last checked. */
function StoreFacts({ client }: { readonly client: string }) {
  const { value, error, again } = useNews<Store>(`store/${client}`, (before, signal) =>
    api.store(client, before, signal),
  );
  if (value === undefined) return error === undefined ? null : <Notice {...{ error, again }} />;
  const { availableBytes, totalBytes, checkedAtMs } = value;
  return (
    <ul class="store-facts">
      {availableBytes === undefined || totalBytes === undefined ? null : (
        <li>
          {t('storeFree', {
            free: shownBytes(availableBytes, LOCALE),
            total: shownBytes(totalBytes, LOCALE),
          })}
        </li>
      )}
      <li>
        {checkedAtMs === undefined ? (
          <Words text={t('storeUnchecked')} />
        ) : (
          t('storeChecked', { ago: shownAgo(checkedAtMs, Date.now(), LOCALE) })
        )}
      </li>
    </ul>
  );
}
