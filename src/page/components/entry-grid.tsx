/**
 * List of entries, as a grid. Only the rows in view are in the document, and need to be loaded. One row is active, and
 * keys move it. The grid itself has the focus, so that scrolling never loses it.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Entry } from '../api.js';
import { t } from '../language.js';
import type { Order, Sort } from '../logic/place.js';
import { parentOf } from '../logic/paths.js';
import { type Row, rowBeginning } from '../logic/rows.js';
import { rowForKey, rowsInView, scrollFor } from '../logic/row-window.js';
import { includes, MAX_SELECTED, type Selection } from '../logic/selection.js';
import { AwaitedRow, GridRow } from './grid-row.js';
import { Button } from './button.js';

export type EntryRow = Row<Entry>;
export type Rows = readonly (EntryRow | undefined)[];

/** Properties that a list gets from the view around it. */
export interface ListProps {
  readonly selection: Selection;
  /** Path of the file whose details are shown; its row is marked. */
  readonly openFile: string | undefined;
  readonly timeOf: (set: number) => string;
  /** True if a row may be selected together with the selected rows. */
  readonly canSelect: (row: EntryRow) => boolean;
  readonly onOpen: (row: EntryRow) => void;
  readonly onToggle: (rows: Rows) => void;
  /** Ends the selection. */
  readonly onClear: () => void;
}

interface GridProps extends ListProps {
  readonly label: string;
  /** The rows, undefined where they are not loaded yet. */
  readonly rows: Rows;
  /** True if no more rows follow. */
  readonly isCounted: boolean;
  /** True if all rows are loaded. */
  readonly isWhole: boolean;
  readonly sort: Sort | undefined;
  readonly order: Order;
  /** True if each row has its whole path. */
  readonly hasPaths?: boolean;
  /** Path of the row that is active at first. */
  readonly startAt?: string | undefined;
  readonly onSort?: (sort: Sort) => void;
  readonly onUp?: () => void;
  /** Called with the rows that come into view, by their indexes. */
  readonly onView: (first: number, end: number) => void;
  /** Loads all rows. */
  readonly onAll: () => void;
}

const COLUMNS: readonly Sort[] = ['name', 'size', 'modified'];
const ROW_PX = 34;
/** Height of a row in a narrow view, where a row has two lines. */
const TALL_ROW_PX = 52;
const NARROW_PX = 480;
/** Width below which the names need the room of the last column. */
const MEDIUM_PX = 620;
/** Maximum time between typed letters that belong together. */
const TYPING_MS = 700;

export function EntryGrid(props: GridProps) {
  const { rows, isCounted, label, hasPaths = false } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollPx: 0, heightPx: 400, widthPx: 800 });
  const [active, setActive] = useState(() => startOf(props));
  const rowPx = view.widthPx < NARROW_PX || hasPaths ? TALL_ROW_PX : ROW_PX;
  const current = Math.max(0, Math.min(active, rows.length - 1));
  const shown = { ...view, rowPx, count: rows.length };
  const { first, end } = rowsInView(shown);
  useEffect(() => arrived(scroller.current!, setView), []);
  useEffect(() => props.onView(first, end), [first, end, rows.length, isCounted]);
  const moveTo = (row: number): void => {
    setActive(row);
    const element = scroller.current!;
    element.scrollTop = scrollFor(row, { ...shown, scrollPx: element.scrollTop });
  };
  useLayoutEffect(() => {
    if (props.startAt !== undefined && current > 0) moveTo(current);
  }, []);
  const followsEnd = useFollowedEnd(rows.length, isCounted, moveTo);
  const seek = useSought(props, current, moveTo);
  const selectAll = useWholeSelection(props);
  const onKeyDown = useKeys(props, { current, moveTo, shown, followsEnd, seek, selectAll });
  // The active row is always in the document, since the grid refers to it.
  const indexes = range(first, end);
  if (rows.length > 0 && (current < first || current >= end)) indexes.push(current);
  return (
    <div
      class={`grid ${widthClass(view.widthPx)} ${hasPaths ? 'grid-paths' : ''}`}
      role="grid"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={isCounted ? rows.length + 1 : -1}
      aria-multiselectable="true"
      aria-activedescendant={rows.length === 0 ? undefined : `row-${current}`}
      onKeyDown={onKeyDown}
      id="files"
    >
      <GridHead {...props} selectAll={selectAll} />
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
            <ShownRow
              key={rows[index]?.path ?? `row ${index}`}
              grid={props}
              row={rows[index]}
              index={index}
              topPx={index * rowPx}
              isActive={index === current}
              onPoint={() => setActive(index)}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

interface ShownRowProps {
  readonly grid: GridProps;
  readonly row: EntryRow | undefined;
  readonly index: number;
  readonly topPx: number;
  readonly isActive: boolean;
  readonly onPoint: () => void;
}

/** Shows a row, or its place while it is being loaded. */
function ShownRow({ grid, row, ...place }: ShownRowProps) {
  if (row === undefined) return <AwaitedRow {...place} />;
  const { openFile, selection, canSelect, hasPaths = false, timeOf, onOpen, onToggle } = grid;
  return (
    <GridRow
      {...{ row, ...place, timeOf }}
      isOpen={row.path === openFile}
      isSelected={includes(selection, row.path)}
      canSelect={canSelect(row)}
      hasPath={hasPaths}
      onOpen={() => onOpen(row)}
      onToggle={() => onToggle([row])}
    />
  );
}

/** Takes the focus if the list is awaited, and watches the size. */
function arrived(scroller: HTMLElement, setView: Parameters<typeof watchSize>[1]): () => void {
  focusOnArrival(scroller.parentElement!);
  return watchSize(scroller, setView);
}

function widthClass(widthPx: number): string {
  if (widthPx < NARROW_PX) return 'grid-narrow';
  return widthPx < MEDIUM_PX ? 'grid-medium' : '';
}

function startOf({ rows, startAt }: GridProps): number {
  return startAt === undefined
    ? 0
    : Math.max(
        0,
        rows.findIndex((row) => row?.path === startAt),
      );
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/** After a press of End, moves to the last row each time that more rows follow. */
function useFollowedEnd(
  count: number,
  isCounted: boolean,
  moveTo: (row: number) => void,
): { current: boolean } {
  const followsEnd = useRef(false);
  useEffect(() => {
    if (!followsEnd.current || count === 0) return;
    moveTo(count - 1);
    followsEnd.current = !isCounted;
  }, [count, isCounted]);
  return followsEnd;
}

/** Returns a function that moves to the next row whose name begins with a text. If none is loaded, it loads all. */
function useSought(
  { rows, isWhole, onAll }: GridProps,
  current: number,
  moveTo: (row: number) => void,
): (text: string, from: number) => void {
  const sought = useRef<string | undefined>(undefined);
  const seek = (text: string, from: number): void => {
    const found = rowBeginning(rows, text, from);
    sought.current = found === undefined && !isWhole ? text : undefined;
    if (found !== undefined) moveTo(found);
    else if (!isWhole) onAll();
  };
  useEffect(() => {
    if (isWhole && sought.current !== undefined) seek(sought.current, current);
  }, [isWhole]);
  return seek;
}

/** Returns a function that loads all rows and then selects them. */
function useWholeSelection({ rows, isWhole, onToggle, onAll }: GridProps): () => void {
  const isWanted = useRef(false);
  useEffect(() => {
    if (!isWanted.current || !(isWhole || rows.length > MAX_SELECTED)) return;
    isWanted.current = false;
    onToggle(rows);
  }, [rows.length, isWhole]);
  return () => {
    if (isWhole || rows.length > MAX_SELECTED) onToggle(rows);
    else {
      isWanted.current = true;
      onAll();
    }
  };
}

/** True if the list that replaces the one before takes the focus. */
let isAwaited = false;

/** Moves the focus to the list that is shown, and to the one that replaces it, if any. */
export function focusList(): void {
  isAwaited = true;
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#files')?.focus());
}

/** Gives the focus to a new list if it is awaited. */
function focusOnArrival(list: HTMLElement): void {
  if (!isAwaited) return;
  const { activeElement } = document;
  const isFree = activeElement === null || activeElement === document.body;
  if (isFree || activeElement.id === list.id) list.focus();
  isAwaited = false;
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
    set((before) => ({ ...before, heightPx: element.clientHeight, widthPx: element.clientWidth })),
  );
  observer.observe(element);
  return () => observer.disconnect();
}

function GridHead(props: GridProps & { readonly selectAll: () => void }) {
  const { rows, selection, sort, order, onSort, selectAll, onClear } = props;
  const isAll = isAllSelected(rows, selection);
  return (
    <div class="faint small grid-head" role="rowgroup">
      <div class="grid-row" role="row" aria-rowindex={1}>
        {COLUMNS.map((column) => (
          <div
            key={column}
            class={`cell cell-${column}`}
            role="columnheader"
            aria-sort={column === sort ? (order === 'asc' ? 'ascending' : 'descending') : undefined}
          >
            {column === 'name' ? (
              <input
                type="checkbox"
                aria-label={t('selectAll')}
                title={t('selectAll')}
                checked={isAll}
                onChange={isAll ? onClear : selectAll}
              />
            ) : null}
            {sort === undefined ? (
              t(column)
            ) : (
              <Button
                class="plain"
                title={t('sortBy', { column: t(column) })}
                onClick={() => onSort?.(column)}
              >
                {t(column)}
                <span class="arrow" aria-hidden="true">
                  {column !== sort ? '' : order === 'asc' ? '↑' : '↓'}
                </span>
              </Button>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

/** True if all rows are selected. One that is not loaded is so only with its directory. */
function isAllSelected(rows: Rows, selection: Selection): boolean {
  if (selection.size === 0) return false;
  const path = rows.find((row) => row !== undefined)?.path ?? '/';
  const isWithDirectory = includes(selection, parentOf(path) ?? '/');
  return rows.every((row) => (row === undefined ? isWithDirectory : includes(selection, row.path)));
}

interface KeyState {
  readonly current: number;
  readonly moveTo: (row: number) => void;
  readonly shown: Parameters<typeof rowForKey>[2];
  /** True after a press of End, while rows are still being loaded. */
  readonly followsEnd: { current: boolean };
  /** Moves to the next row, from an index on, whose name begins with a text. */
  readonly seek: (text: string, from: number) => void;
  readonly selectAll: () => void;
}

/** Returns the handler of keys. */
function useKeys(props: GridProps, state: KeyState) {
  const { current, moveTo, shown, followsEnd, seek, selectAll } = state;
  const typed = useRef({ text: '', atMs: 0 });
  const { rows } = props;
  const letter = (key: string): void => {
    const nowMs = performance.now();
    const isMore = nowMs - typed.current.atMs < TYPING_MS;
    const text = isMore ? typed.current.text + key : key;
    typed.current = { text, atMs: nowMs };
    seek(text, isMore ? current : current + 1);
  };
  return (event: KeyboardEvent): void => {
    // Buttons of the head handle their own keys.
    const { target } = event;
    if (target instanceof HTMLButtonElement || isOfHead(target) || rows.length === 0) return;
    const { key, shiftKey } = event;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const row = rows[current];
    const next = isPlain ? rowForKey(key, current, shown) : undefined;
    if (next !== undefined) {
      if (shiftKey && next !== current) props.onToggle([rows[next]]);
      followsEnd.current = key === 'End' && !props.isCounted;
      if (followsEnd.current) props.onAll();
      moveTo(next);
    } else if (isPlain && key === 'Enter') {
      if (row !== undefined) props.onOpen(row);
    } else if (isPlain && key === ' ') props.onToggle([row]);
    else if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === 'a') selectAll();
    else if (key === 'Backspace' || (event.altKey && key === 'ArrowUp')) props.onUp?.();
    else if (isPlain && key.length === 1 && !'/?'.includes(key)) letter(key);
    else return;
    event.preventDefault();
  };
}

function isOfHead(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('.grid-head') !== null;
}
