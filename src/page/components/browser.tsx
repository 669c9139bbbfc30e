/** The view of the files: backups on the left, the directory or a search, and the details of a file. */
import { useEffect, useState } from 'preact/hooks';
import type { BackupSet } from '../api.js';
import type { Go } from '../hooks.js';
import { t } from '../language.js';
import { parentOf } from '../parts/paths.js';
import type { Place } from '../parts/place.js';
import { NOTHING, type Selection, toggled, withPaths } from '../parts/selection.js';
import { Details } from './details.js';
import type { EntryRow } from './entry-grid.js';
import { FilesView } from './files-view.js';
import { Icon } from './icons.js';
import { PathBar } from './path-bar.js';
import { RestoreDialog } from './restore-dialog.js';
import { SearchView } from './search-view.js';
import { setWords } from './set-list.js';
import { SideBar } from './side-bar.js';
import { ToolBar } from './tool-bar.js';

interface BrowserProps {
  readonly place: Place;
  readonly go: Go;
  readonly client: string;
  readonly canRestore: boolean;
  readonly sets: readonly BackupSet[];
  readonly chosen: BackupSet;
  readonly timeOf: (set: number) => string;
}

export function Browser(props: BrowserProps) {
  const { place, go, client, chosen, timeOf } = props;
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const [restoring, setRestoring] = useState<readonly string[]>();
  const [isSideOpen, setSideOpen] = useState(false);
  useEffect(() => setSelection(NOTHING), [chosen.set, place.search]);
  const toggle = (rows: readonly EntryRow[]): void => {
    const [only] = rows;
    const paths = rows.filter(({ isDeleted }) => !isDeleted).map(({ path }) => path);
    if (rows.length === 1 && only !== undefined && paths.length === 1) {
      setSelection((before) => toggled(before, only.path));
    } else setSelection((before) => withPaths(before, paths));
  };
  const open = (row: EntryRow): void => go(openedPlace(row));
  const details = place.file;
  return (
    <main id="main" class={`browser ${details === undefined ? '' : 'has-details'}`}>
      <button
        type="button"
        class="side-button"
        aria-expanded={isSideOpen}
        aria-controls="sets"
        onClick={() => setSideOpen(!isSideOpen)}
      >
        <Icon name="calendar" />
        {t('setOf', { time: setWords(chosen) })}
      </button>
      <SideBar
        sets={props.sets}
        chosen={chosen}
        isOpen={isSideOpen}
        onChoose={(set) => {
          setSideOpen(false);
          go({ set });
        }}
      />
      <Listed
        {...props}
        selection={selection}
        onClear={() => setSelection(NOTHING)}
        onRestore={setRestoring}
        onOpen={open}
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
          onRestore={(path) => setRestoring([path])}
          onSet={(set) => go({ set })}
          onDirectory={(path) => go({ path, search: '' })}
        />
      )}
      {restoring === undefined ? null : (
        <RestoreDialog
          client={client}
          set={chosen.set}
          time={timeOf(chosen.set)}
          paths={restoring}
          onClose={() => setRestoring(undefined)}
        />
      )}
    </main>
  );
}

/** Returns the place of a row. A path that the set lacks is shown in the last set that has it. */
function openedPlace({ path, entry, inSet }: EntryRow): Partial<Place> {
  const set = inSet === undefined ? {} : { set: inSet };
  if (entry === undefined || entry.type === 'directory') {
    return { ...set, path, file: undefined, search: '' };
  }
  return { ...set, path: parentOf(path) ?? '/', file: path };
}

interface ListedProps extends BrowserProps {
  readonly selection: Selection;
  readonly onClear: () => void;
  readonly onRestore: (paths: readonly string[]) => void;
  readonly onOpen: (row: EntryRow) => void;
  readonly onToggle: (rows: readonly EntryRow[]) => void;
}

function Listed(props: ListedProps) {
  const { place, go, client, chosen, timeOf, selection, onOpen, onToggle } = props;
  if (place.search !== '') {
    return (
      <div class="listed">
        <SearchView
          {...{ client, selection, timeOf, onOpen, onToggle }}
          pattern={place.search}
          onEnd={() => go({ search: '' })}
        />
      </div>
    );
  }
  return (
    <div class="listed">
      <PathBar path={place.path} onGo={(path) => go({ path, file: undefined })} />
      <ToolBar {...props} set={chosen.set} />
      <FilesView {...{ client, place, go, selection, timeOf, onOpen, onToggle }} set={chosen} />
    </div>
  );
}
