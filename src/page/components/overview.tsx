/** Overview of all clients, the space over time, and the sets that a purge would delete. */
import { api, type BackupSet, type Client, type Store } from '../api.js';
import { useNews } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { readText } from '../logic/causes.js';
import type { Place } from '../logic/place.js';
import { DAY_MS, shownBytes, shownTime } from '../logic/formats.js';
import { AccountSpace } from './account-space.js';
import { ClientActs, MountAct } from './acts.js';
import { JoinMachine } from './administer.js';
import { Clients, restoreText } from './clients.js';
import { Notice } from './notice.js';
import { PurgePreview } from './purge-preview.js';
import { SetupCard } from './setup-card.js';
import { SpacePlot } from './space-plot.js';
import { Words } from './words.js';

interface OverviewProps {
  readonly place: Place;
  readonly client: string;
  /** True for the page of a server, which opens no other client. */
  readonly isRemote: boolean;
  readonly sets: readonly BackupSet[];
  readonly clients: ReturnType<typeof useNews<Client[]>>;
  /** Options by which a command finds the store. */
  readonly storeWords: string;
}

export function Overview(props: OverviewProps) {
  const { place, client, isRemote, sets, clients, storeWords } = props;
  const own = clients.value?.find(({ name }) => name === client);
  return (
    <div class="overview">
      <section class="card">
        <h2>{t('clients')}</h2>
        <Notice error={clients.error} again={clients.again} />
        {clients.value === undefined ? null : (
          <Clients clients={clients.value} place={isRemote ? undefined : place} />
        )}
        <StoreFacts client={client} own={own} />
        {own === undefined ? null : <AccountSpace client={own} onChanged={clients.again} />}
        <ClientActs />
        <MountAct key={client} />
      </section>
      <JoinMachine />
      <section class="card">
        <h2>{t('space')}</h2>
        <SpacePlot />
      </section>
      <SetupCard client={client} />
      <section class="card card-wide">
        <h2>{t('purge')}</h2>
        <PurgePreview client={client} sets={sets} storeWords={storeWords} />
      </section>
    </div>
  );
}

interface FactsProps {
  readonly client: string;
  /** The client with its proof; undefined until that is known. */
  readonly own: Client | undefined;
}

/** Shows how much room the store has, when it was last proven, and how long the certificate of the page is valid. */
function StoreFacts({ client, own }: FactsProps) {
  const { value, error, again } = useNews<Store>(`store/${client}`, (before, signal) =>
    api.store(client, before, signal),
  );
  if (value === undefined) return <Notice {...{ error, again }} />;
  const { availableBytes, totalBytes, certificateEndsAtMs } = value;
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
      {own?.proof === undefined ? null : (
        <>
          <li>
            <Words text={readText(own.proof, t, LOCALE)} />
          </li>
          <li>
            <Words text={restoreText(own.proof)} />
          </li>
        </>
      )}
      {certificateEndsAtMs === undefined ? null : (
        <li class={isSoon(certificateEndsAtMs) ? 'notice' : ''}>
          {t('storeCertificate', { time: shownTime(certificateEndsAtMs, LOCALE) })}
        </li>
      )}
    </ul>
  );
}

/** Time before its end from which a certificate is marked, as in the log of the server. */
const SOON_MS = 21 * DAY_MS;

function isSoon(endMs: number): boolean {
  return endMs - Date.now() < SOON_MS;
}
