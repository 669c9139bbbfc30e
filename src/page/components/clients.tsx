/** The table of clients, each with its state, the reason and what to do. */
import { useMemo, useState } from 'preact/hooks';
import type { Client } from '../api.js';
import { LOCALE, t } from '../language.js';
import { adviceOf, reasonOf } from '../logic/causes.js';
import { clientHref, type Place } from '../logic/place.js';
import { shownAgo, shownBytes, shownClient, shownName, shownTime } from '../logic/formats.js';
import type { TextKey } from '../logic/texts.js';
import { BackupRequest } from './administer.js';
import { Words } from './words.js';

/** Number of clients from which a field limits the table. */
const MANY = 20;

interface ClientsProps {
  readonly clients: readonly Client[];
  /** The place that is shown; undefined if no other client can be. */
  readonly place: Place | undefined;
}

/** Shows the clients, the most urgent first. */
export function Clients({ clients, place }: ClientsProps) {
  const [wanted, setWanted] = useState('');
  const word = wanted.trim().toLowerCase();
  const shown = useMemo(() => {
    const found = clients.filter(({ name }) => name.toLowerCase().includes(word));
    return byUrgency(found);
  }, [clients, word]);
  return (
    <>
      {clients.length < MANY ? null : (
        <>
          <p class="flow marks">
            {Object.entries(SHOWN).map(([state, [text, kind]]) => {
              const n = clients.filter((client) => client.state === state).length;
              return n === 0 ? null : (
                <span key={state} class={`mark ${kind}`}>
                  {t('clientsOfState', { n, state: t(text) })}
                </span>
              );
            })}
          </p>
          <input
            type="search"
            class="find-client"
            aria-label={t('clientsFind')}
            placeholder={t('clientsFind')}
            value={wanted}
            onInput={({ currentTarget }) => setWanted(currentTarget.value)}
          />
        </>
      )}
      <ClientTable clients={shown} place={place} />
    </>
  );
}

/** Returns clients in the order of their urgency, the most urgent first. */
export function byUrgency(clients: readonly Client[]): Client[] {
  return clients.toSorted((one, other) => urgency(other) - urgency(one));
}

/** Returns the place of a client's state in the order of urgency. */
function urgency({ state, cause }: Client): number {
  return cause.code === 'closed' ? -1 : Object.keys(SHOWN).indexOf(state);
}

/** Returns the clients whose state needs somebody, the most urgent first. */
export function troubled(clients: readonly Client[]): Client[] {
  return byUrgency(clients).filter((one) => !['', 'mark-good'].includes(stateWords(one)[1]));
}

function ClientTable({ clients, place }: ClientsProps) {
  const hasSpace = clients.some(({ space }) => space !== undefined);
  return (
    <div class="box table-scroll" tabIndex={0} role="region" aria-label={t('clients')}>
      <table class="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('client')}</th>
            <th scope="col">{t('lastGood')}</th>
            <th scope="col" class="right">
              {t('completeSets')}
            </th>
            {hasSpace ? (
              <th scope="col" class="right">
                {t('clientSpace')}
              </th>
            ) : null}
            <th scope="col">{t('state')}</th>
          </tr>
        </thead>
        <tbody>
          {clients.map((client) => (
            <ClientRow key={client.name} {...{ client, place, hasSpace }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps extends Pick<ClientsProps, 'place'> {
  readonly client: Client;
  /** True if the table has a column of the space. */
  readonly hasSpace: boolean;
}

function ClientRow({ client, place, hasSpace }: RowProps) {
  const { name, lastCompletedMs, completeSets, seenAtMs, encrypts, space } = client;
  return (
    <tr>
      <th scope="row">
        {place === undefined ? (
          <bdi>{shownClient(name)}</bdi>
        ) : (
          <a href={clientHref({ view: 'files' }, name)}>
            <bdi>{shownClient(name)}</bdi>
          </a>
        )}
        {client.place === undefined ? null : (
          <bdi class="faint block">{shownName(client.place)}</bdi>
        )}
      </th>
      <td>
        {lastCompletedMs === undefined ? (
          t(completeSets === undefined ? 'notKnown' : 'never')
        ) : (
          <>
            {shownAgo(lastCompletedMs, Date.now(), LOCALE)}
            <span class="faint block">{shownTime(lastCompletedMs, LOCALE)}</span>
          </>
        )}
        {seenAtMs === undefined ? null : (
          <span class="faint block">
            {t('lastSeen', { ago: shownAgo(seenAtMs, Date.now(), LOCALE) })}
          </span>
        )}
      </td>
      <td class="right" data-label={t('completeSets')}>
        {completeSets ?? '–'}
      </td>
      {hasSpace ? (
        <td class="right" data-label={t('clientSpace')}>
          {space === undefined ? null : (
            <>
              {shownBytes(space.usedBytes, LOCALE)}
              <span class="faint block">
                {t('quotaOf', { quota: shownBytes(space.quotaBytes, LOCALE) })}
              </span>
            </>
          )}
        </td>
      ) : null}
      <td>
        <span class="flow marks">
          <StateMark client={client} />
          {encrypts ? <span class="mark">{t('encrypted')}</span> : null}
        </span>
        {client.proof?.restoredAtMs === undefined ? null : (
          <span class="faint block">{restoredText(client.proof.restoredAtMs)}</span>
        )}
        <BackupRequest client={client} />
      </td>
    </tr>
  );
}

/** Text and colour of each state, the most urgent last. */
const SHOWN: Readonly<Record<string, readonly [text: TextKey, kind: string]>> = {
  good: ['stateGood', 'mark-good'],
  running: ['stateRunning', ''],
  warned: ['stateWarned', 'mark-late'],
  late: ['stateLate', 'mark-late'],
  failed: ['stateFailed', 'mark-bad'],
  never: ['stateNever', 'mark-late'],
  unknown: ['stateUnknown', 'mark-bad'],
};

/** Returns the text and the colour of a client's state. */
export function stateWords({ state, cause }: Client): readonly [text: TextKey, kind: string] {
  return cause.code === 'closed' ? ['stateClosed', ''] : (SHOWN[state] ?? SHOWN['unknown']!);
}

/** Returns why a client has its state, as a sentence. */
export function causeText(client: Client): string {
  return shownName(reasonOf(client, t, LOCALE));
}

type Proof = NonNullable<Client['proof']>;

/** Returns when files were last restored and proven, and what to do if that is long ago. */
export function restoreText({ code, restoredAtMs }: Proof): string {
  if (restoredAtMs === undefined) return t('storeUnrestored');
  const text = restoredText(restoredAtMs);
  return code === 'old' ? `${text} ${t('storeRestoreOld')}` : text;
}

function restoredText(restoredAtMs: number): string {
  return t('storeRestored', { ago: shownAgo(restoredAtMs, Date.now(), LOCALE) });
}

/** Shows the state of a client, with its reason and what to do. */
export function StateMark({ client }: { readonly client: Client }) {
  const { state, cause } = client;
  const [text, kind] = stateWords(client);
  return (
    <>
      <span class={`mark ${kind}`}>{t(text)}</span>
      {state === 'good' || cause.code === 'closed' ? null : (
        <span class="faint block">
          <Words text={`${causeText(client)} ${shownName(adviceOf(client, t))}`.trim()} />
        </span>
      )}
    </>
  );
}
