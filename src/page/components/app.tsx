/** The whole page. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type ApiError, type BackupSet, type Client } from '../api.js';
import { type Go, useAnswer, useJobs, useNews, usePlace } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import type { Place } from '../logic/place.js';
import { nameOf } from '../logic/paths.js';
import { setTimes, shownClient, shownName } from '../logic/formats.js';
import { Acting } from './acts.js';
import { Administering } from './administer.js';
import { ClientSwitch } from './client-switch.js';
import { troubled } from './clients.js';
import { Doubts } from './doubts.js';
import { JobStrip } from './job-strip.js';
import { focusList } from './entry-grid.js';
import { KeysDialog, TopBar } from './top-bar.js';
import { Notice } from './notice.js';
import { Overview } from './overview.js';
import { SignIn, Unlock } from './sign-in.js';
import { Browser } from './browser.js';
import { SizesView } from './sizes-view.js';
import { Words } from './words.js';

export function App() {
  const [place, go] = usePlace();
  const session = useAnswer(`session/${place.client ?? ''}`, (signal) =>
    api.session(place.client, signal),
  );
  const isIn = useRef(false); // also while another client is being opened
  isIn.current =
    session.value !== undefined || (isIn.current && session.error?.code !== 'NOT_LOGGED_IN');
  const clients = useNews<Client[]>(isIn.current ? 'clients' : undefined, api.clients);
  const client = session.value?.client ?? place.client;
  const mayList = session.value?.rights.includes('list') === true;
  const isRemote = session.value?.program === 'tardisremote';
  const choice = isRemote ? [] : (clients.value ?? []);
  const sets = useNews<{ sets: BackupSet[] }>(
    client === undefined || !mayList ? undefined : `sets/${client}`,
    (before, signal) => api.sets(client!, before, signal),
  );
  useEffect(() => {
    // The first question at the page of a server is how all clients are.
    if (isRemote && /^#?\/?$/.test(location.hash)) go({ view: 'overview' }, 'replace');
  }, [isRemote]);
  if (session.error?.code === 'NOT_LOGGED_IN' || sets.error?.code === 'NOT_LOGGED_IN') {
    const signedIn = (): void => {
      session.again();
      sets.again();
    };
    return <SignIn onDone={signedIn} />;
  }
  const error = session.error ?? (sets.value === undefined ? sets.error : undefined);
  const listed = mayList ? sets.value?.sets : [];
  if (session.value === undefined || client === undefined || listed === undefined) {
    const again = session.error === undefined ? sets.again : session.again;
    return (
      <main class="alone" id="main">
        <div class="row bar">
          <h1>{t('product')}</h1>
          <ClientSwitch {...{ place, client }} clients={choice} />
        </div>
        {error === undefined ? (
          <p role="status">{t('loading')}</p>
        ) : client !== undefined && NEEDS_PASSWORD.includes(error.code) ? (
          <Unlock key={client} client={client} onDone={sets.again} />
        ) : (
          <Notice error={error} again={again} />
        )}
      </main>
    );
  }
  const { canRestore, storeWords = '', mountPoint = '', offers = [], rights } = session.value;
  const administers = offers.includes('administer') && rights.includes('admin');
  const mayAdminister = administers && rights.includes('add');
  const added = [
    ...(administers && rights.includes('purge') ? ['rules'] : []),
    ...(administers && rights.includes('quota') ? ['quota'] : []),
  ];
  const lost = sets.error;
  return (
    <Page
      {...{ place, go, client, clients, isRemote, canRestore, storeWords, mountPoint }}
      {...{ mayAdminister, lost }}
      offers={[...offers, ...added]}
      sets={listed}
    />
  );
}

/** Codes of errors of a client that is opened by its password, which also authenticates a server. */
const NEEDS_PASSWORD = ['PASSWORD_NEEDED', 'LOGIN_FAILED', 'CERTIFICATE_REFUSED'];

interface PageProps {
  readonly place: Place;
  readonly go: Go;
  readonly client: string;
  /** All clients, with their states. */
  readonly clients: ReturnType<typeof useNews<Client[]>>;
  /** True for the page of a server, which has no keys and no jobs. */
  readonly isRemote: boolean;
  readonly canRestore: boolean;
  /** Options by which a command finds the store. */
  readonly storeWords: string;
  /** Directory at which the client is mounted unless another one is named. */
  readonly mountPoint: string;
  /** Acts that the program offers. */
  readonly offers: readonly string[];
  /** True if the login may request backups and make codes for new machines. */
  readonly mayAdminister: boolean;
  readonly sets: readonly BackupSet[];
  /** Why the page does not learn of news; undefined if it does. */
  readonly lost: ApiError | undefined;
}

function Page(props: PageProps) {
  const { place, go, client, clients, sets, lost, isRemote } = props;
  const [showsKeys, setShowsKeys] = useState(false);
  useGlobalKeys(place, go, () => setShowsKeys(true));
  const times = useMemo(() => setTimes(sets, LOCALE), [sets]);
  const timeOf = useCallback(
    (set: number) => times.get(set)?.time ?? t('setNumber', { set: String(set) }),
    [times],
  );
  const clockOf = useCallback((set: number) => times.get(set)?.clock ?? '', [times]);
  const chosen = chosenSet(sets, place.set);
  const jobs = useJobs(!isRemote);
  const own = clients.value?.find(({ name }) => name === client);
  useTitle(place, client, troubled(clients.value ?? []).length);
  const { offers, mountPoint } = props;
  const acting = { client, sets, offers, mountPoint, onBegun: jobs.again };
  return (
    <Acting.Provider value={acting}>
      <TopBar
        {...{ place, client, go }}
        clients={isRemote ? [] : (clients.value ?? [])}
        onKeys={() => setShowsKeys(true)}
      />
      <Notice error={lost} />
      <GoneSet sets={sets} wanted={place.set} />
      <Doubts client={client} />
      {place.view === 'overview' ? (
        <main id="main">
          <Administering.Provider value={props.mayAdminister ? clients.again : undefined}>
            <Overview
              {...{ place, client, sets, clients, isRemote }}
              storeWords={props.storeWords}
            />
          </Administering.Provider>
        </main>
      ) : isRemote && own?.encrypts !== false ? (
        <Alone text={own === undefined ? t('loading') : sealedText(own)} />
      ) : chosen === undefined ? (
        <Alone text={t('setsNone')} />
      ) : place.view === 'sizes' ? (
        <SizesView {...{ client, place, go, sets, chosen, clockOf }} />
      ) : (
        <Browser key={client} {...props} {...{ own, chosen, timeOf, clockOf, jobs }} />
      )}
      <JobStrip {...{ client, jobs, sets, own, timeOf }} />
      {showsKeys ? <KeysDialog onClose={() => setShowsKeys(false)} /> : null}
    </Acting.Provider>
  );
}

function Alone({ text }: { readonly text: string }) {
  return (
    <main class="alone" id="main">
      <p>
        <Words text={text} />
      </p>
    </main>
  );
}

/** Returns why a server shows no names of a client that encrypts, and where they are shown. */
function sealedText({ name }: Client): string {
  const command = `tardis-web --server ${location.hostname} -C ${name}`;
  return t('sealed', { command: shownName(command) });
}

interface GoneProps {
  readonly sets: readonly BackupSet[];
  readonly wanted: number | undefined;
}

/** Reports that the set in the address is not listed, so that another one is shown. */
function GoneSet({ sets, wanted }: GoneProps) {
  const isGone = wanted !== undefined && !sets.some(({ set }) => set === wanted);
  return (
    <div role="status">
      {isGone ? <p class="notice">{t('setGone', { set: String(wanted) })}</p> : null}
    </div>
  );
}

/** Names the tab of the browser by what is shown, after the number of clients that need somebody. */
function useTitle({ view, path, file, search }: Place, client: string, bad: number): void {
  const shown = view === 'overview' ? t('overview') : search || nameOf(file ?? path);
  const words = [shown, shownClient(client), t('product')].filter((word) => word !== '');
  const title = `${bad === 0 ? '' : `(${bad}) `}${shownName(words.join(' – '))}`;
  useEffect(() => {
    document.title = title;
  }, [title]);
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
  // Before the page is painted: the next key may follow at once, and means the place that is then shown.
  useLayoutEffect(() => {
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
  focusList();
}
