/** Buttons for the selection, and the choice to show deleted entries. */
import { archiveHref } from '../api.js';
import type { Go } from '../hooks.js';
import { t } from '../language.js';
import type { Place } from '../parts/place.js';
import type { Selection } from '../parts/selection.js';

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
  const isSelected = selection.size > 0;
  const paths = isSelected ? [...selection] : [place.path];
  return (
    <div class="tool-bar">
      {isSelected ? (
        <>
          <strong role="status">{t('selected', { n: selection.size })}</strong>
          <button type="button" class="plain" onClick={onClear}>
            {t('clearSelection')}
          </button>
        </>
      ) : (
        <label class="check">
          <input
            type="checkbox"
            checked={place.showsDeleted}
            onChange={({ currentTarget }) => go({ showsDeleted: currentTarget.checked }, 'replace')}
          />
          {t('showDeleted')}
        </label>
      )}
      <span class="space" />
      <a
        class="button"
        href={archiveHref(client, set, paths, 'zip')}
        title={t('downloadZipLong')}
        download
      >
        {t('downloadZip')}
      </a>
      <a
        class="button"
        href={archiveHref(client, set, paths, 'tar')}
        title={t('downloadTarLong')}
        download
      >
        {t('downloadTar')}
      </a>
      {canRestore ? (
        <button
          type="button"
          class="primary"
          disabled={!isSelected && place.path === '/'}
          onClick={() => onRestore(paths)}
        >
          {t('restore')}
        </button>
      ) : null}
    </div>
  );
}
