/** Hooks of the page: the place in the address, answers of the API, and lists that are loaded page by page. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, type JobState, type News } from './api.js';
import { hashOf, type Place, placeOf } from './logic/place.js';
import { isMounted } from './logic/formats.js';

/** Changes the place. With `replace`, no step is added to the browser's history. */
export type Go = (change: Partial<Place>, how?: 'push' | 'replace') => void;

export function usePlace(): [Place, Go] {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  const current = useRef(place);
  current.current = place;
  useEffect(() => {
    const read = (): void => setPlace(placeOf(location.hash));
    addEventListener('hashchange', read);
    addEventListener('popstate', read);
    return () => {
      removeEventListener('hashchange', read);
      removeEventListener('popstate', read);
    };
  }, []);
  const go = useCallback<Go>((change, how = 'push') => {
    const next = { ...current.current, ...change };
    const hash = hashOf(next);
    if (hash !== location.hash) {
      if (how === 'push') history.pushState(null, '', hash);
      else history.replaceState(null, '', hash);
    }
    current.current = next;
    setPlace(next);
  }, []);
  return [place, go];
}

interface Answer<T> {
  readonly value: T | undefined;
  readonly error: ApiError | undefined;
  readonly isLoading: boolean;
}

const WAITING = { value: undefined, error: undefined, isLoading: true } as const;

/**
 * Sends a request when `key` changes, and aborts the request before it. No request is sent if the key is undefined.
 */
export function useAnswer<T>(
  key: string | undefined,
  request: (signal: AbortSignal) => Promise<T>,
): Answer<T> & { readonly again: () => void } {
  const [held, setHeld] = useState<Answer<T> & { readonly key?: string | undefined }>(WAITING);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (key === undefined) return undefined;
    const controller = new AbortController();
    request(controller.signal).then(
      (value) => setHeld({ key, value, error: undefined, isLoading: false }),
      (error: unknown) => {
        if (controller.signal.aborted) return;
        setHeld({ key, value: undefined, error: asApiError(error), isLoading: false });
      },
    );
    return () => controller.abort();
  }, [key, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  const isCurrent = held.key === key && key !== undefined;
  return isCurrent ? { ...held, again } : { ...WAITING, isLoading: key !== undefined, again };
}

/** Time after which news are requested again: while a job runs, while the page is seen, and while it is hidden. */
const BUSY_MS = 700;
const SEEN_MS = 4000;
const HIDDEN_MS = 60_000;
/** Share of the time of the program that requests of one kind may take at most. */
const MOST_SHARE = 0.05;

interface Living<T> {
  readonly value: T | undefined;
  /** Why the last request failed; the value is then the one before. */
  readonly error: ApiError | undefined;
  readonly again: () => void;
}

/**
 * Requests an answer again and again, and keeps the last one if a request fails. The next request follows the end of the
 * one before after a pause, or comes at once when the page is seen again. `key` undefined: nothing is requested.
 */
export function useNews<T>(
  key: string | undefined,
  request: (before: News<T> | undefined, signal: AbortSignal) => Promise<News<T>>,
  isBusy: (value: T) => boolean = () => false,
): Living<T> {
  const [held, setHeld] = useState<{ key?: string; news?: News<T>; error?: ApiError }>({});
  const look = useRef<() => void>(() => undefined);
  useEffect(() => {
    if (key === undefined) return undefined;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last: News<T> | undefined;
    let isRequesting = false;
    let isWanted = false;
    const ask = async (): Promise<void> => {
      if (isRequesting) {
        isWanted = true; // what is being read may be older than what has happened
        return;
      }
      clearTimeout(timer);
      isRequesting = true;
      isWanted = false;
      const beganMs = performance.now();
      try {
        last = await request(last, controller.signal);
        if (!controller.signal.aborted) setHeld({ key, news: last });
      } catch (error) {
        if (!controller.signal.aborted) {
          setHeld({ key, ...(last === undefined ? {} : { news: last }), error: asApiError(error) });
        }
      }
      isRequesting = false;
      if (controller.signal.aborted) return;
      const pauseMs = isWanted ? 0 : pauseAfter(last, isBusy);
      const shareMs = (performance.now() - beganMs) / MOST_SHARE;
      timer = setTimeout(() => void ask(), isWanted ? 0 : Math.max(pauseMs, shareMs));
    };
    const seen = (): void => {
      if (document.visibilityState === 'visible') void ask();
    };
    look.current = () => void ask();
    void ask();
    document.addEventListener('visibilitychange', seen);
    addEventListener('online', seen);
    return () => {
      clearTimeout(timer);
      controller.abort();
      document.removeEventListener('visibilitychange', seen);
      removeEventListener('online', seen);
    };
  }, [key]);
  const again = useCallback(() => look.current(), []);
  const isCurrent = held.key === key;
  return {
    value: isCurrent ? held.news?.value : undefined,
    error: isCurrent ? held.error : undefined,
    again,
  };
}

function pauseAfter<T>(last: News<T> | undefined, isBusy: (value: T) => boolean): number {
  if (last !== undefined && isBusy(last.value)) return BUSY_MS;
  return document.visibilityState === 'visible' ? SEEN_MS : HIDDEN_MS;
}

export type JobList = ReturnType<typeof useJobs>;

/** Returns the jobs of the program; none if it has none. */
export function useJobs(hasJobs: boolean): Living<readonly JobState[]> {
  const jobs = useNews(hasJobs ? 'jobs' : undefined, api.jobs, (value) =>
    value.jobs.some((job) => job.state === 'running' && !isMounted(job)),
  );
  return { value: jobs.value?.jobs, error: jobs.error, again: jobs.again };
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('INTERNAL', String(error), '');
}

/** Makes an attempt to change something, and calls `done` with its result. Resolves when it has ended or failed. */
export type Attempt = <T>(work: Promise<T>, done?: (value: T) => void) => Promise<void>;

/** Returns why the last attempt has failed, and the function that makes one. */
export function useAttempt(): [error: ApiError | undefined, attempt: Attempt] {
  const [error, setError] = useState<ApiError>();
  const attempt: Attempt = async (work, done) => {
    setError(undefined);
    try {
      const value = await work;
      done?.(value);
    } catch (problem) {
      setError(asApiError(problem));
    }
  };
  return [error, attempt];
}

interface Steps {
  isLoading: boolean;
  /** Why the last step failed. */
  error: ApiError | undefined;
}

/**
 * Loads something step by step. `step` begins the next step, which changes the state; it returns undefined if nothing
 * that is wanted is missing. A step that fails is the last one until `load` is called. If `key` changes, `begin` makes a
 * new state.
 */
export function useSteps<S extends object>(
  key: string,
  begin: () => S,
  step: (state: S, signal: AbortSignal) => Promise<void> | undefined,
): { readonly state: S & Readonly<Steps>; readonly load: () => void } {
  const [, setTurn] = useState(0);
  const held = useRef<{ readonly key: string; readonly state: S & Steps }>(undefined);
  const load = useRef<() => void>(() => undefined);
  if (held.current?.key !== key) {
    held.current = { key, state: { ...begin(), isLoading: false, error: undefined } };
    load.current = () => undefined;
  }
  const { state } = held.current;
  useEffect(() => {
    const controller = new AbortController();
    const draw = (): void => setTurn((before) => before + 1);
    const next = (): void => {
      const work = state.isLoading ? undefined : step(state, controller.signal);
      if (work === undefined) return;
      state.isLoading = true;
      state.error = undefined;
      work
        .catch((error: unknown) => {
          if (!controller.signal.aborted) state.error = asApiError(error);
        })
        .finally(() => {
          state.isLoading = false;
          if (controller.signal.aborted) return;
          draw();
          if (state.error === undefined) next();
        });
      draw();
    };
    load.current = next;
    next();
    return () => controller.abort();
  }, [key]);
  return { state, load: useCallback(() => load.current(), []) };
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

export interface Paged<T> {
  readonly items: readonly T[];
  readonly isWhole: boolean;
  readonly isLoading: boolean;
  readonly error: ApiError | undefined;
  /** Loads the next page. */
  readonly more: () => void;
  /** Loads all pages, up to the maximum number of items. */
  readonly all: () => void;
}

/** Maximum number of items of a list that the page keeps. */
export const MAX_ITEMS = 250_000;

/** A list that grows. Each page is appended to one array, since copying the array would take longer with each page. */
interface Growing<T> {
  readonly items: T[];
  next: string | undefined;
  isWhole: boolean;
  /** Number of items that are wanted. A page may have none without being the last one. */
  wanted: number;
}

function newList<T>(): Growing<T> {
  return { items: [], next: undefined, isWhole: false, wanted: 1 };
}

/** Loads a list page by page. If `key` changes, a new list begins. */
export function usePages<T>(
  key: string,
  request: (after: string | undefined, signal: AbortSignal) => Promise<Page<T>>,
): Paged<T> {
  const { state, load } = useSteps(key, newList<T>, (growing, signal) => {
    if (growing.isWhole || growing.items.length >= growing.wanted) return undefined;
    return request(growing.next, signal).then((page) => {
      for (const item of page.items) growing.items.push(item);
      growing.next = page.next;
      growing.isWhole = page.next === undefined;
    });
  });
  const { items, isWhole, error } = state;
  const want = (count: number): void => {
    state.wanted = Math.min(MAX_ITEMS, Math.max(state.wanted, count));
    load();
  };
  const isWaiting = state.isLoading || (!isWhole && items.length === 0);
  return {
    items,
    isWhole,
    isLoading: isWaiting && error === undefined,
    error,
    more: () => want(items.length + 1),
    all: () => want(MAX_ITEMS),
  };
}

/** Returns a copy of a value that changes only after the value has not changed for some time. */
export function useSettled<T>(value: T, afterMs: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), afterMs);
    return () => clearTimeout(timer);
  }, [value, afterMs]);
  return settled;
}
