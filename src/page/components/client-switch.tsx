/** Names the client that is shown, with its state, and lists the others. */
import { useState } from 'preact/hooks';
import type { Client } from '../api.js';
import { labelled, t } from '../language.js';
import { clientHref, type Place } from '../logic/place.js';
import { shownClient, shownName } from '../logic/formats.js';
import { byUrgency, stateWords, troubled } from './clients.js';
import { Button } from './button.js';

/** Number of clients that are listed; the overview has all of them. */
const MOST_LISTED = 20;

interface SwitchProps {
  readonly place: Place;
  /** The client that is shown; undefined until that is known. */
  readonly client: string | undefined;
  readonly clients: readonly Client[];
}

export function ClientSwitch({ place, client, clients }: SwitchProps) {
  const [openOn, setOpenOn] = useState<string>();
  const label = client === undefined ? '' : shownClient(client);
  if (clients.length < 2) return <bdi class="faint">{label}</bdi>;
  const more = clients.length - MOST_LISTED;
  const listed = more > 0 ? byUrgency(clients).slice(0, MOST_LISTED) : clients;
  const isOpen = openOn !== undefined && openOn === client;
  return (
    <div
      class="switch"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        event.stopPropagation();
        setOpenOn(undefined);
      }}
    >
      <Button
        class="plain cut"
        aria-expanded={isOpen}
        aria-controls="switch"
        title={t('clients')}
        onClick={() => setOpenOn(isOpen ? undefined : client)}
      >
        <Light clients={clients} />
        <bdi>{label}</bdi> ▾
      </Button>
      {isOpen ? (
        <nav id="switch" class="box" aria-label={t('clients')}>
          <ul>
            {listed.map((one) => (
              <li key={one.name}>
                <a
                  class="flow"
                  href={clientHref(place, one.name)}
                  aria-current={one.name === client ? 'page' : undefined}
                >
                  <bdi>{shownClient(one.name)}</bdi>
                  {one.place === undefined ? null : <bdi class="faint">{shownName(one.place)}</bdi>}
                  <span class={`mark ${stateWords(one)[1]}`}>{t(stateWords(one)[0])}</span>
                </a>
              </li>
            ))}
          </ul>
          {more > 0 ? <p class="faint">{t('clientsMore', { n: more })}</p> : null}
        </nav>
      ) : null}
    </div>
  );
}

/**
 * Shows the most urgent state of all clients as a dot, with the number of those that need somebody. Its name has both for
 * those who do not see the colour.
 */
function Light({ clients }: Pick<SwitchProps, 'clients'>) {
  const n = troubled(clients).length;
  const [text, kind] = stateWords(byUrgency(clients)[0]!);
  const state = n === 0 ? t(text) : t('clientsTroubled', { n, state: t(text) });
  const label = labelled(t('state'), state);
  return (
    <>
      <span class={`light ${kind}`} role="img" aria-label={label} title={label} />
      {n === 0 ? null : <strong aria-hidden="true">{n}</strong>}
    </>
  );
}
