/** Overview of all clients, the space over time, and the sets that a purge would delete. */
import { api, type BackupSet, type Client, type Store } from '../api.js';
import { useNews } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import type { TextKey } from '../strings.js';
import { shownAgo, shownBytes, shownName, shownTime } from '../logic/shown.js';
import { ClientActs } from './acts.js';
import { Notice } from './notice.js';
import { PurgePreview } from './purge-preview.js';
import { SetupCard } from './setup-card.js';
import { SpacePlot } from './space-plot.js';

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
          {t('storeFree', { free: shownBytes(availableBytes), total: shownBytes(totalBytes) })}
        </li>
      )}
      <li>
        {checkedAtMs === undefined
          ? t('storeUnchecked')
          : t('storeChecked', { ago: shownAgo(checkedAtMs, Date.now(), LOCALE) })}
      </li>
    </ul>
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
      <td class="right" data-label={t('completeSets')}>
        {completeSets}
      </td>
      <td>
        <span class="marks">
          <StateMark client={client} />
          {encrypts ? <span class="mark">{t('encrypted')}</span> : null}
        </span>
      </td>
    </tr>
  );
}

/** Text and colour of each state. */
const SHOWN: Readonly<Record<string, readonly [text: TextKey, kind: string]>> = {
  good: ['stateGood', 'mark-good'],
  running: ['stateRunning', ''],
  warned: ['stateWarned', 'mark-late'],
  late: ['stateLate', 'mark-late'],
  failed: ['stateFailed', 'mark-bad'],
  never: ['stateNever', 'mark-late'],
  unknown: ['stateUnknown', 'mark-bad'],
};

/** Shows the state of a client, with its reason and what to do. */
export function StateMark({ client }: { readonly client: Client }) {
  const { state, reason, advice } = client;
  const [text, kind] = SHOWN[state] ?? SHOWN['unknown']!;
  return (
    <>
      <span class={`mark ${kind}`}>{t(text)}</span>
      {state === 'good' ? null : (
        <span class="faint block">{shownName(`${reason} ${advice}`.trim())}</span>
      )}
    </>
  );
}
