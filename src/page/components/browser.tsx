/** The view of the files: backups on the left, the directory or a search, and the details of a file. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, type BackupSet, type Client, type Entry, type Found } from '../api.js';
import { type Go, type JobList, usePages, useSettled } from '../hooks.js';
import { t } from '../language.js';
import { parentOf } from '../logic/paths.js';
import type { Place } from '../logic/place.js';
import { changedRow, foundRows, type Row } from '../logic/rows.js';
import { MAX_SELECTED, NOTHING, ofOneSet, toggled, withPaths } from '../logic/selection.js';
import { shownName } from '../logic/formats.js';
import { Details } from './details.js';
import type { EntryRow, ListProps, Rows } from './entry-grid.js';
import { FilesView } from './files-view.js';
import { Icon } from './icons.js';
import { PathBar } from './path-bar.js';
import { PathsView } from './paths-view.js';
import { RestoreDialog } from './restore-dialog.js';
import { setWords, SinceChoice } from './set-list.js';
import { SearchFilters } from './search-filters.js';
import { SideBar } from './side-bar.js';
import { ToolBar } from './tool-bar.js';
import { Button } from './button.js';

/** Time after the last key before the search begins. */
const SETTLE_MS = 120;

interface BrowserProps {
  readonly place: Place;
  readonly go: Go;
  readonly client: string;
  readonly canRestore: boolean;
  readonly sets: readonly BackupSet[];
  /** The client that is open; undefined until its state is known. */
  readonly own: Client | undefined;
  readonly chosen: BackupSet;
  readonly timeOf: (set: number) => string;
  readonly clockOf: (set: number) => string;
  readonly jobs: JobList;
}

export function Browser(props: BrowserProps) {
  const { place, go, client, chosen, timeOf, clockOf } = props;
  const { selection, selectedSet, toggle, clear, canSelect } = useSelection(props);
  const [restoring, setRestoring] = useState<Restoring>();
  const [isSideOpen, setSideOpen] = useState(false);
  const details = place.file;
  return (
    <main id="main" class={`browser ${details === undefined ? '' : 'has-details'}`}>
      <Button
        class="side-button"
        aria-expanded={isSideOpen}
        aria-controls="sets"
        onClick={() => setSideOpen(!isSideOpen)}
      >
        <Icon name="calendar" />
        {t('setOf', { time: setWords(chosen, clockOf(chosen.set)) })}
      </Button>
      <SideBar
        client={client}
        sets={props.sets}
        own={props.own}
        chosen={chosen}
        isOpen={isSideOpen}
        clockOf={clockOf}
        onChoose={(set) => {
          setSideOpen(false);
          go({ set });
        }}
        onChanges={() => {
          setSideOpen(false);
          go({ showsChanges: true, search: '', file: undefined });
        }}
      />
      <Listed
        {...props}
        {...{ selection, selectedSet, canSelect }}
        openFile={details}
        onClear={clear}
        onRestore={setRestoring}
        onOpen={(row) => go(openedPlace(row))}
        onToggle={toggle}
      />
      {details === undefined ? null : (
        <Details
          client={client}
          set={chosen.set}
          path={details}
          canRestore={props.canRestore}
          timeOf={timeOf}
          onClose={() => go({ file: undefined })}
          onRestore={(path) => setRestoring({ paths: [path], set: chosen.set })}
          onSet={(set) => go({ set, showsChanges: false })}
          onDirectory={(path) => go({ path, search: '', showsChanges: false })}
        />
      )}
      {restoring === undefined ? null : (
        <RestoreDialog
          {...{ client, ...restoring }}
          time={timeOf(restoring.set)}
          jobs={props.jobs}
          onClose={() => setRestoring(undefined)}
        />
      )}
    </main>
  );
}

/** Paths of one set that are about to be restored. */
interface Restoring {
  readonly paths: readonly string[];
  readonly set: number;
}

/** Keeps the selected paths, which must be of one set. */
function useSelection({ place, chosen }: BrowserProps) {
  const [held, setHeld] = useState({ selection: NOTHING, set: chosen.set });
  const clear = (): void => setHeld({ selection: NOTHING, set: chosen.set });
  const browsed = place.search === '' ? chosen.set : undefined;
  useEffect(clear, [browsed, place.search, place.showsChanges]);
  const { selection } = held;
  const set = selection.size === 0 ? undefined : held.set;
  const toggle = (rows: Rows): void => {
    if (rows.length > MAX_SELECTED && browsed !== undefined && !place.showsChanges) {
      // More paths cannot be sent, and the directory contains all of them.
      setHeld({ selection: new Set([place.path]), set: chosen.set });
      return;
    }
    const loaded = rows.filter((row) => row !== undefined);
    const usable = ofOneSet(loaded, set, chosen.set);
    const [only] = usable.rows;
    if (only === undefined) return;
    const paths = usable.rows.map(({ path }) => path);
    const next = rows.length === 1 ? toggled(selection, only.path) : withPaths(selection, paths);
    setHeld({ selection: next, set: usable.set });
  };
  const canSelect = (row: EntryRow): boolean => ofOneSet([row], set, chosen.set).rows.length > 0;
  return { selection, selectedSet: set ?? chosen.set, toggle, clear, canSelect };
}

/**
 * Returns the change of the place that opens a row. A path that is missing in the browsed set is shown in the last set
 * that contains it.
 */
function openedPlace({ path, entry, inSet }: EntryRow): Partial<Place> {
  const set = inSet === undefined ? {} : { set: inSet, showsChanges: false };
  if (entry === undefined || entry.type === 'directory') {
    return { ...set, path, file: undefined, search: '', showsChanges: false };
  }
  return { ...set, path: parentOf(path) ?? '/', file: path };
}

interface ListedProps extends BrowserProps, ListProps {
  readonly selectedSet: number;
  readonly onRestore: (restoring: Restoring) => void;
}

function Listed(props: ListedProps) {
  const { place, go, chosen, selection, selectedSet } = props;
  const toolBar = (
    <ToolBar
      {...props}
      set={selectedSet}
      onRestore={(paths) => props.onRestore({ paths, set: selectedSet })}
    />
  );
  if (place.search !== '' || place.showsChanges) {
    return (
      <div class="listed">
        {selection.size === 0 ? null : toolBar}
        {place.search === '' ? <ChangesView {...props} set={chosen} /> : <SearchView {...props} />}
      </div>
    );
  }
  return (
    <div class="listed">
      <PathBar path={place.path} onGo={(path) => go({ path, file: undefined })} />
      {toolBar}
      <FilesView {...props} set={chosen} />
    </div>
  );
}

interface SearchProps extends ListProps {
  readonly client: string;
  readonly place: Place;
  readonly go: Go;
}

interface ChangesProps extends SearchProps {
  readonly sets: readonly BackupSet[];
  readonly set: BackupSet;
  readonly clockOf: (set: number) => string;
}

/** Shows the changes of a backup since another one; by default, the one before it with the same directories. */
function ChangesView({ client, place, go, sets, set, clockOf, ...paths }: ChangesProps) {
  const { since } = place;
  const announced = useRef({ isFirst: false, unread: 0, key: '' });
  const key = `changes/${client}/${set.set}/${since ?? ''}`;
  if (announced.current.key !== key) announced.current = { isFirst: false, unread: 0, key };
  const list = usePages<Row<Entry>>(key, async (after, signal) => {
    const wanted = { set: set.set, since };
    const { from, changes, unread, next } = await api.changes(client, wanted, after, signal);
    announced.current.isFirst = from === undefined;
    announced.current.unread += unread.length;
    return { items: changes.map((one) => changedRow(one, from)), next };
  });
  const { isFirst, unread } = announced.current;
  const count = t(list.isWhole ? 'changesFound' : 'changesMore', { n: list.items.length });
  const lacking = unread === 0 ? '' : ` · ${t('changesUnread', { n: unread })}`;
  return (
    <PathsView
      {...paths}
      listKey={key}
      list={list}
      rows={list.items}
      filters={
        <SinceChoice {...{ sets, since, clockOf, go }} set={set.set} none={t('sinceBefore')} />
      }
      title={t('changesOf', { time: paths.timeOf(set.set) })}
      back={t('changesEnd')}
      onEnd={() => go({ showsChanges: false })}
      empty={t(isFirst ? 'changesFirst' : 'changesNone')}
      status={`${list.isLoading ? t('loading') : count}${lacking}`}
    />
  );
}

/** Shows the results of a search over all backups, which is updated while the user types. */
function SearchView({ client, place, go, ...paths }: SearchProps) {
  const pattern = useSettled(place.search, SETTLE_MS);
  const { kind, leastBytes, sinceDays, isBelow, path } = place;
  const wanted = { pattern, kind, leastBytes, sinceDays, below: isBelow ? path : undefined };
  const key = `${client}/${JSON.stringify(wanted)}`;
  const list = usePages<Found>(key, async (after, signal) => {
    const { found, next } = await api.search(client, wanted, after, signal);
    return { items: found, next };
  });
  const rows = foundRows(list.items);
  const count = list.isWhole ? 'found' : 'foundMore';
  const shown = { pattern: shownName(pattern) };
  return (
    <PathsView
      {...paths}
      listKey={`search-${key}`}
      list={list}
      rows={rows}
      filters={<SearchFilters {...{ place, go }} />}
      title={t('searchResults', shown)}
      back={t('endSearch')}
      onEnd={() => go({ search: '' })}
      empty={t('searchNone', shown)}
      status={list.isLoading ? t('searching') : t(count, { n: rows.length })}
    />
  );
}
