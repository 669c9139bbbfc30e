/** The whole page. */
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { api, type BackupSet } from '../api.js';
import { type Go, useAnswer, useClients, usePlace } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import type { Place } from '../logic/place.js';
import { shownTime } from '../logic/shown.js';
import { Doubts } from './doubts.js';
import { KeysDialog, TopBar } from './top-bar.js';
import { Notice } from './notice.js';
import { Overview } from './overview.js';
import { Browser } from './browser.js';

export function App() {
  const [place, go] = usePlace();
  const session = useAnswer('session', (signal) => api.session(signal));
  const client = session.value?.client ?? place.client;
  const sets = useAnswer(client === undefined ? undefined : `sets/${client}`, (signal) =>
    api.sets(client!, signal),
  );
  const error = session.error ?? sets.error;
  if (error !== undefined) {
    return (
      <main class="alone" id="main">
        <h1>{t('product')}</h1>
        <Notice error={error} again={session.error === undefined ? sets.again : session.again} />
      </main>
    );
  }
  if (session.value === undefined || client === undefined || sets.value === undefined) {
    return (
      <main class="alone" id="main">
        <h1>{t('product')}</h1>
        <p role="status">{t('loading')}</p>
      </main>
    );
  }
  const { canRestore } = session.value;
  return <Page {...{ place, go, client, canRestore }} sets={sets.value.sets} />;
}

interface PageProps {
  readonly place: Place;
  readonly go: Go;
  readonly client: string;
  readonly canRestore: boolean;
  readonly sets: readonly BackupSet[];
}

function Page(props: PageProps) {
  const { place, go, client, sets } = props;
  const [showsKeys, setShowsKeys] = useState(false);
  useGlobalKeys(place, go, () => setShowsKeys(true));
  const times = useMemo(() => new Map(sets.map((set) => [set.set, set.openedAtMs])), [sets]);
  const timeOf = useCallback(
    (set: number) => (times.has(set) ? shownTime(times.get(set), LOCALE) : t('setNumber', { set })),
    [times],
  );
  const chosen = chosenSet(sets, place.set);
  const clients = useClients();
  const own = clients.value?.find(({ name }) => name === client);
  return (
    <>
      <TopBar place={place} client={client} go={go} onKeys={() => setShowsKeys(true)} />
      <Doubts />
      {place.view === 'overview' ? (
        <main id="main">
          <Overview client={client} sets={sets} clients={clients} />
        </main>
      ) : chosen === undefined ? (
        <main class="alone" id="main">
          <p>{t('setsNone')}</p>
        </main>
      ) : (
        <Browser {...props} own={own} chosen={chosen} timeOf={timeOf} />
      )}
      {showsKeys ? <KeysDialog onClose={() => setShowsKeys(false)} /> : null}
    </>
  );
}

/** Returns the set in the address; otherwise the newest complete set, or the newest set. */
function chosenSet(sets: readonly BackupSet[], wanted: number | undefined): BackupSet | undefined {
  return (
    sets.find(({ set }) => set === wanted) ??
    sets.find(({ state }) => state === 'complete') ??
    sets[0]
  );
}

function useGlobalKeys(place: Place, go: Go, onKeys: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { target, key } = event;
      const isTyping = target instanceof HTMLInputElement && target.type !== 'checkbox';
      const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
      if (document.querySelector('dialog[open]') !== null || !isPlain) return;
      if (key === 'Escape') escape(place, go);
      else if (isTyping || target instanceof HTMLSelectElement) return;
      else if (key === '/') document.querySelector<HTMLElement>('#search')?.focus();
      else if (key === '?') onKeys();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [place]);
}

/** Closes the view that is open: first the details, then the search, then the changes. */
function escape(place: Place, go: Go): void {
  if (place.file !== undefined) go({ file: undefined });
  else if (place.search !== '') go({ search: '' });
  else if (place.showsChanges) go({ showsChanges: false });
  else return;
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#files')?.focus());
}
