/**
 * List of entries, as a grid. Only the rows in view are in the document. One row is active, and keys move it. The grid
 * itself has the focus, so that scrolling never loses it.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Entry } from '../api.js';
import { t } from '../language.js';
import type { Order, Sort } from '../logic/place.js';
import { type Row, rowBeginning } from '../logic/rows.js';
import { rowForKey, rowsInView, scrollFor } from '../logic/row-window.js';
import { includes, type Selection } from '../logic/selection.js';
import { GridRow } from './grid-row.js';

export type EntryRow = Row<Entry>;

interface GridProps {
  readonly label: string;
  readonly rows: readonly EntryRow[];
  /** True if all rows have been loaded. */
  readonly isWhole: boolean;
  readonly selection: Selection;
  readonly sort: Sort | undefined;
  readonly order: Order;
  /** True if each row has its whole path. */
  readonly hasPaths?: boolean;
  /** Path of the row that is active at first. */
  readonly startAt?: string | undefined;
  readonly timeOf: (set: number) => string;
  /** True if a row may be selected together with the selected rows. */
  readonly canSelect: (row: EntryRow) => boolean;
  readonly onSort: (sort: Sort) => void;
  readonly onOpen: (row: EntryRow) => void;
  readonly onUp?: () => void;
  readonly onToggle: (rows: readonly EntryRow[]) => void;
  readonly onNearEnd: () => void;
  readonly onEnd: () => void;
}

const COLUMNS: readonly Sort[] = ['name', 'size', 'modified'];
/** Number of rows before the end at which the next page is loaded. */
const NEAR_END_ROWS = 200;
const ROW_PX = 34;
/** Height of a row in a narrow view, where a row has two lines. */
const TALL_ROW_PX = 52;
const NARROW_PX = 480;
/** Maximum time between typed letters that belong together. */
const TYPING_MS = 700;

export function EntryGrid(props: GridProps) {
  const { rows, isWhole, selection, label, hasPaths = false } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollPx: 0, heightPx: 400, widthPx: 800 });
  const [active, setActive] = useState(() => startOf(props));
  const isNarrow = view.widthPx < NARROW_PX;
  const rowPx = isNarrow || hasPaths ? TALL_ROW_PX : ROW_PX;
  const current = Math.max(0, Math.min(active, rows.length - 1));
  const shown = { ...view, rowPx, count: rows.length };
  const { first, end } = rowsInView(shown);
  useEffect(() => watchSize(scroller.current!, setView), []);
  useEffect(() => {
    if (!isWhole && end > rows.length - NEAR_END_ROWS) props.onNearEnd();
  }, [end, rows.length, isWhole]);
  const moveTo = (row: number): void => {
    setActive(row);
    const element = scroller.current!;
    element.scrollTop = scrollFor(row, { ...shown, scrollPx: element.scrollTop });
  };
  useLayoutEffect(() => {
    if (props.startAt !== undefined && current > 0) moveTo(current);
  }, []);
  const followsEnd = useFollowedEnd(rows.length, isWhole, moveTo);
  const onKeyDown = useKeys(props, { current, moveTo, shown, followsEnd });
  // The active row is always in the document, since the grid refers to it.
  const indexes = range(first, end);
  if (rows.length > 0 && (current < first || current >= end)) indexes.push(current);
  return (
    <div
      class={`grid ${isNarrow ? 'grid-narrow' : ''} ${hasPaths ? 'grid-paths' : ''}`}
      role="grid"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={isWhole ? rows.length + 1 : -1}
      aria-multiselectable="true"
      aria-activedescendant={rows.length === 0 ? undefined : `row-${current}`}
      onKeyDown={onKeyDown}
      id="files"
    >
      <GridHead {...props} />
      <div
        class="grid-body"
        role="rowgroup"
        ref={scroller}
        onScroll={({ currentTarget }) =>
          setView((before) => ({ ...before, scrollPx: currentTarget.scrollTop }))
        }
      >
        <div class="grid-space" role="presentation" style={{ height: `${rows.length * rowPx}px` }}>
          {indexes.map((index) => (
            <GridRow
              key={rows[index]!.path}
              row={rows[index]!}
              index={index}
              topPx={index * rowPx}
              isActive={index === current}
              isSelected={includes(selection, rows[index]!.path)}
              canSelect={props.canSelect(rows[index]!)}
              hasPath={hasPaths}
              timeOf={props.timeOf}
              onPoint={() => setActive(index)}
              onOpen={() => props.onOpen(rows[index]!)}
              onToggle={() => props.onToggle([rows[index]!])}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function startOf({ rows, startAt }: GridProps): number {
  return startAt === undefined
    ? 0
    : Math.max(
        0,
        rows.findIndex(({ path }) => path === startAt),
      );
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/** After a press of End, moves to the last row each time that more rows are loaded. */
function useFollowedEnd(
  count: number,
  isWhole: boolean,
  moveTo: (row: number) => void,
): { current: boolean } {
  const followsEnd = useRef(false);
  useEffect(() => {
    if (!followsEnd.current || count === 0) return;
    moveTo(count - 1);
    followsEnd.current = !isWhole;
  }, [count, isWhole]);
  return followsEnd;
}

interface Size {
  readonly scrollPx: number;
  readonly heightPx: number;
  readonly widthPx: number;
}

function watchSize(
  element: HTMLElement,
  set: (change: (before: Size) => Size) => void,
): () => void {
  const observer = new ResizeObserver(() =>
    set((before) => ({
      ...before,
      heightPx: element.clientHeight,
      widthPx: element.clientWidth,
    })),
  );
  observer.observe(element);
  return () => observer.disconnect();
}

function GridHead({ sort, order, onSort }: GridProps) {
  return (
    <div class="grid-head" role="rowgroup">
      <div class="grid-row" role="row" aria-rowindex={1}>
        {COLUMNS.map((column) => (
          <div
            key={column}
            class={`cell cell-${column}`}
            role="columnheader"
            aria-sort={column === sort ? (order === 'asc' ? 'ascending' : 'descending') : undefined}
          >
            {sort === undefined ? (
              t(column)
            ) : (
              <button
                type="button"
                class="plain"
                title={t('sortBy', { column: t(column) })}
                onClick={() => onSort(column)}
              >
                {t(column)}
                <span class="arrow" aria-hidden="true">
                  {column !== sort ? '' : order === 'asc' ? '↑' : '↓'}
                </span>
              </button>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

interface KeyState {
  readonly current: number;
  readonly moveTo: (row: number) => void;
  readonly shown: Parameters<typeof rowForKey>[2];
  /** True after a press of End, while rows are still being loaded. */
  readonly followsEnd: { current: boolean };
}

/** Returns the handler of keys. */
function useKeys(props: GridProps, { current, moveTo, shown, followsEnd }: KeyState) {
  const typed = useRef({ text: '', atMs: 0 });
  const { rows } = props;
  const letter = (key: string): void => {
    const nowMs = performance.now();
    const isMore = nowMs - typed.current.atMs < TYPING_MS;
    const text = isMore ? typed.current.text + key : key;
    typed.current = { text, atMs: nowMs };
    const found = rowBeginning(rows, text, isMore ? current : current + 1);
    if (found !== undefined) moveTo(found);
  };
  return (event: KeyboardEvent): void => {
    // Buttons of the head handle their own keys.
    if (event.target instanceof HTMLButtonElement || rows.length === 0) return;
    const { key, shiftKey } = event;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const row = rows[current]!;
    const next = isPlain ? rowForKey(key, current, shown) : undefined;
    if (next !== undefined) {
      if (shiftKey && next !== current) props.onToggle([rows[next]!]);
      followsEnd.current = key === 'End' && !props.isWhole;
      if (key === 'End') props.onEnd();
      moveTo(next);
    } else if (isPlain && key === 'Enter') props.onOpen(row);
    else if (isPlain && key === ' ') props.onToggle([row]);
    else if ((event.ctrlKey || event.metaKey) && key === 'a') props.onToggle(rows);
    else if (key === 'Backspace' || (event.altKey && key === 'ArrowUp')) props.onUp?.();
    else if (isPlain && key.length === 1 && !'/?'.includes(key)) letter(key);
    else return;
    event.preventDefault();
  };
}
