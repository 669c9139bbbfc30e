/** Buttons for the selection, and the choice to show deleted entries. */
import { api, archiveHref, keptArchiveHref } from '../api.js';
import { type Attempt, type Go, useAttempt } from '../hooks.js';
import { t } from '../language.js';
import type { Place } from '../logic/place.js';
import { MAX_SELECTED, type Selection } from '../logic/selection.js';
import { Check } from './fields.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

interface ToolBarProps {
  readonly client: string;
  readonly set: number;
  readonly place: Place;
  readonly go: Go;
  readonly selection: Selection;
  readonly canRestore: boolean;
  readonly onClear: () => void;
  readonly onRestore: (paths: readonly string[]) => void;
}

export function ToolBar(props: ToolBarProps) {
  const { client, set, place, go, selection, canRestore, onClear, onRestore } = props;
  const [error, attempt] = useAttempt();
  const isSelected = selection.size > 0;
  const paths = isSelected ? [...selection] : [place.path];
  return (
    <div class="row flow tool-bar">
      {isSelected ? (
        <>
          <strong role="status">{selectedText(selection, place)}</strong>
          <Button class="plain" onClick={onClear}>
            {t('clearSelection')}
          </Button>
        </>
      ) : (
        <Check
          label={t('showDeleted')}
          isOn={place.showsDeleted}
          onChange={(isOn) => go({ showsDeleted: isOn }, 'replace')}
        />
      )}
      <span class="space" />
      <ArchiveButton {...{ client, set, paths }} format="zip" attempt={attempt} />
      <ArchiveButton {...{ client, set, paths }} format="tar" attempt={attempt} />
      {canRestore ? (
        <Button
          class="primary"
          disabled={!isSelected && place.path === '/'}
          onClick={() => onRestore(paths)}
        >
          {t('restore')}
        </Button>
      ) : null}
      <Notice error={error} />
    </div>
  );
}

function selectedText(selection: Selection, { path, search, showsChanges }: Place): string {
  if (search === '' && !showsChanges && selection.has(path)) return t('selectedDirectory');
  return t(selection.size < MAX_SELECTED ? 'selected' : 'selectedMost', { n: selection.size });
}

const ARCHIVE_TEXTS = {
  zip: ['downloadZip', 'downloadZipLong'],
  tar: ['downloadTar', 'downloadTarLong'],
} as const;

interface ArchiveProps extends Pick<ToolBarProps, 'client' | 'set'> {
  readonly paths: readonly string[];
  readonly format: 'zip' | 'tar';
  readonly attempt: Attempt;
}

/** Shows a link to an archive, or a button if the paths are too long for an address. */
function ArchiveButton({ client, set, paths, format, attempt }: ArchiveProps) {
  const [short, long] = ARCHIVE_TEXTS[format];
  const href = archiveHref(client, set, paths, format);
  // A browser reports only that a download failed, so the set is looked up first.
  const start = (address: () => Promise<string>): void => {
    void attempt(api.set(client, set).then(address), download);
  };
  if (href !== undefined) {
    return (
      <a
        class="button"
        href={href}
        title={t(long)}
        download
        onClick={(event) => {
          if (!event.isTrusted) return; // it is the click below
          event.preventDefault();
          start(async () => href);
        }}
      >
        {t(short)}
      </a>
    );
  }
  return (
    <Button
      title={t(long)}
      onClick={() => start(() => keptArchiveHref(client, set, paths, format))}
    >
      {t(short)}
    </Button>
  );
}

function download(href: string): void {
  const link = document.createElement('a');
  link.href = href;
  link.download = '';
  link.click();
}
