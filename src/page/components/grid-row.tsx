/** Shows one row of the list of entries. */
import type { Entry } from '../api.js';
import { LOCALE, t } from '../language.js';
import { parentOf } from '../logic/paths.js';
import type { Row } from '../logic/rows.js';
import { msOfNs, shownBytes, shownName, shownTime } from '../logic/formats.js';
import { Icon, iconOf } from './icons.js';
import { Name, PathName } from './name.js';
import { Button } from './button.js';

interface RowProps {
  readonly row: Row<Entry>;
  readonly index: number;
  readonly topPx: number;
  readonly isActive: boolean;
  /** True if the details of the row's file are shown. */
  readonly isOpen: boolean;
  readonly isSelected: boolean;
  readonly canSelect: boolean;
  readonly hasPath: boolean;
  readonly timeOf: (set: number) => string;
  readonly onPoint: () => void;
  readonly onOpen: () => void;
  readonly onToggle: () => void;
}

export function GridRow(props: RowProps) {
  const { row, index, topPx, isActive, isOpen, isSelected, canSelect, hasPath, timeOf } = props;
  const { entry, name, inSet, isDeleted, path } = row;
  const type = entry?.type ?? 'directory';
  const isFile = type === 'file';
  return (
    <div
      class={`grid-row ${isActive ? 'active' : ''} ${isOpen ? 'opened' : ''} ${isDeleted ? 'deleted' : ''}`}
      role="row"
      id={`row-${index}`}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      aria-current={isOpen ? 'true' : undefined}
      style={{ transform: `translateY(${topPx}px)` }}
      onClick={props.onPoint}
      onDblClick={props.onOpen}
    >
      <div class="cell cell-name" role="gridcell">
        <input
          type="checkbox"
          tabIndex={-1}
          checked={isSelected}
          disabled={!canSelect}
          aria-label={t('select', { name: shownName(name) })}
          onChange={props.onToggle}
          onDblClick={(event) => event.stopPropagation()}
        />
        <Icon name={iconOf(type)} />
        <span class="names">
          <Button class="plain cut open" tabIndex={-1} onClick={props.onOpen}>
            <Name name={name} />
            {entry?.target === undefined ? null : (
              <span class="faint">
                {' → '}
                <Name name={entry.target} />
              </span>
            )}
          </Button>
          {hasPath ? (
            <span class="faint small cut below">
              <PathName path={parentOf(path) ?? '/'} />
            </span>
          ) : null}
          <Marks
            row={row}
            isShort={!hasPath}
            lastIn={inSet === undefined ? undefined : timeOf(inSet)}
          />
        </span>
      </div>
      <div class="cell cell-size" role="gridcell">
        {isFile && entry !== undefined ? shownBytes(entry.sizeBytes, LOCALE) : ''}
      </div>
      <div class="cell cell-modified" role="gridcell">
        {entry === undefined || entry.damage !== undefined
          ? ''
          : shownTime(msOfNs(entry.modifiedNs), LOCALE)}
      </div>
    </div>
  );
}

interface AwaitedProps extends Pick<RowProps, 'index' | 'topPx' | 'isActive'> {}

/** Shows the place of a row that is being loaded. */
export function AwaitedRow({ index, topPx, isActive }: AwaitedProps) {
  return (
    <div
      class={`grid-row ${isActive ? 'active' : ''}`}
      role="row"
      id={`row-${index}`}
      aria-rowindex={index + 2}
      aria-busy="true"
      style={{ transform: `translateY(${topPx}px)` }}
    >
      <div class="cell cell-name faint" role="gridcell">
        …
      </div>
    </div>
  );
}

interface MarksProps {
  readonly row: Row<Entry>;
  /** True if there is room for one word only. */
  readonly isShort: boolean;
  readonly lastIn: string | undefined;
}

function Marks({ row, isShort, lastIn }: MarksProps) {
  const { entry, isDeleted, change } = row;
  if (change === 'new') return <span class="mark mark-good">{t('changeNew')}</span>;
  if (change === 'changed') return <span class="mark">{t('changeChanged')}</span>;
  if (change === 'gone') return <span class="mark mark-deleted">{t('deleted')}</span>;
  if (isDeleted && lastIn !== undefined) {
    const long = t('deletedAfter', { time: lastIn });
    return (
      <span class="mark mark-deleted" title={long}>
        {isShort ? t('deleted') : long}
      </span>
    );
  }
  if (entry?.damage !== undefined || entry?.isDamaged === true)
    return <span class="mark mark-bad">{t('damaged')}</span>;
  if (entry?.isReadable === false) return <span class="mark">{t('unreadable')}</span>;
  return null;
}
