/** Shows which directories are large, and which have grown since an earlier backup, as bars that lead into them. */
import { api, type BackupSet, type SizesFound } from '../api.js';
import { type Go, useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { pathOf, textOf } from '../logic/paths.js';
import { type Measure, MEASURES, type Place } from '../logic/place.js';
import { shownBytes } from '../logic/formats.js';
import type { TextKey } from '../logic/texts.js';
import { Select } from './fields.js';
import { Name } from './name.js';
import { Notice } from './notice.js';
import { PathBar } from './path-bar.js';
import { SinceChoice } from './set-list.js';
import { Button } from './button.js';

const MEASURE_TEXTS: Readonly<Record<Measure, TextKey>> = {
  bytes: 'sizesBytes',
  newBytes: 'sizesNew',
  growth: 'sizesGrowth',
};

interface SizesProps {
  readonly client: string;
  readonly place: Place;
  readonly go: Go;
  readonly sets: readonly BackupSet[];
  readonly chosen: BackupSet;
  readonly clockOf: (set: number) => string;
}

export function SizesView({ client, place, go, sets, chosen, clockOf }: SizesProps) {
  const { path, since } = place;
  const measure = since === undefined ? 'bytes' : place.measure;
  const { set } = chosen;
  const key = `sizes/${client}/${set}/${since ?? ''}/${measure}${path}`;
  const answer = useAnswer(key, (signal) =>
    api.sizes(client, { set, since, path, measure }, signal),
  );
  return (
    <main id="main" class="sizes">
      <PathBar path={path} onGo={(to) => go({ path: to })} />
      <div class="row flow tool-bar">
        <SinceChoice {...{ sets, set, since, clockOf, go }} none={t('sinceNever')} />
        {since === undefined ? null : (
          <label class="field">
            {t('sizesBy')}
            <Select
              value={measure}
              options={MEASURES.map((one) => [one, t(MEASURE_TEXTS[one])])}
              onChoose={(chosen) => go({ measure: chosen }, 'replace')}
            />
          </label>
        )}
        <span class="space" />
        <Button onClick={() => go({ view: 'files' })}>{t('sizesFiles')}</Button>
      </div>
      <Notice error={answer.error} again={answer.again} />
      {answer.isLoading ? <p role="status">{t('loading')}</p> : null}
      {answer.value === undefined ? null : (
        <Bars reply={answer.value} {...{ path, measure, go }} hasSince={since !== undefined} />
      )}
    </main>
  );
}

interface BarsProps {
  readonly path: string;
  readonly reply: SizesFound;
  readonly measure: Measure;
  readonly hasSince: boolean;
  readonly go: Go;
}

function Bars({ reply, path, measure, hasSince, go }: BarsProps) {
  const { isCounted, sizes, directories, more } = reply;
  if (!isCounted) return <p class="empty">{t('sizesHidden')}</p>;
  const amounts = directories.map((one) => amountOf(one, measure));
  const most = Math.max(1, ...amounts.map(Math.abs));
  return (
    <>
      {sizes === undefined ? null : (
        <p role="status">
          {t('sizesWhole', { bytes: shownBytes(sizes.bytes, LOCALE), n: sizes.files })}{' '}
          {hasSince
            ? t('sizesSince', {
                fresh: shownBytes(sizes.newBytes, LOCALE),
                growth: signed(amountOf(sizes, 'growth')),
              })
            : null}
        </p>
      )}
      {directories.length === 0 ? <p class="empty">{t('sizesNone')}</p> : null}
      <ol class="bars" aria-label={t('sizes')}>
        {directories.map((one, index) => {
          const to = pathOf(one.path, one.pathBytes);
          const amount = amounts[index]!;
          return (
            <li key={to}>
              <Button class="plain bar-row" onClick={() => go({ path: to })}>
                <span class="cut">
                  <Name name={textOf(to.slice(path === '/' ? 1 : path.length + 1))} />
                </span>
                <span class="bar-track" aria-hidden="true">
                  <span
                    class={`bar-fill ${amount < 0 ? 'bar-less' : ''}`}
                    style={{ width: `${(Math.abs(amount) / most) * 100}%` }}
                  />
                </span>
                <span class="bar-amount">
                  {measure === 'growth' ? signed(amount) : shownBytes(amount, LOCALE)}
                </span>
                <span class="faint bar-count">{t('filesCount', { n: one.files })}</span>
              </Button>
            </li>
          );
        })}
      </ol>
      {more === 0 ? null : <p class="faint">{t('sizesMore', { n: more })}</p>}
    </>
  );
}

type Counted = NonNullable<SizesFound['sizes']>;

function amountOf(sizes: Counted, measure: Measure): number {
  const { bytes, earlierBytes } = sizes;
  return measure === 'growth' ? bytes - earlierBytes : sizes[measure];
}

/** Returns bytes with their sign. */
function signed(bytes: number): string {
  const sign = bytes > 0 ? '+' : bytes < 0 ? '−' : '±';
  return `${sign}${shownBytes(Math.abs(bytes), LOCALE)}`;
}
