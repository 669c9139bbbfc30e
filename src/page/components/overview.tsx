/** Overview of all clients, the space over time, and the sets that a purge would delete. */
import type { BackupSet, Client } from '../api.js';
import type { useClients } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import type { TextKey } from '../strings.js';
import { shownAgo, shownName, shownTime } from '../logic/shown.js';
import { Notice } from './notice.js';
import { PurgePreview } from './purge-preview.js';
import { SpacePlot } from './space-plot.js';

interface OverviewProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  readonly clients: ReturnType<typeof useClients>;
}

export function Overview({ client, sets, clients }: OverviewProps) {
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
