/** Shows what `tardis setup` has configured, and changes it: sources, excluded directories, schedule, rules and reports. */
import { useContext, useState } from 'preact/hooks';
import { api, type SetupAnswers } from '../api.js';
import { useAnswer, useNews, useSettled } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { pathFromText } from '../logic/paths.js';
import { shownBytes, shownName } from '../logic/formats.js';
import type { TextKey } from '../logic/texts.js';
import { ActButton, Acting } from './acts.js';
import { Select, TextField } from './fields.js';
import { Notice } from './notice.js';
import { Words } from './words.js';

type Key = keyof SetupAnswers;

const FIELDS: readonly (readonly [key: Key, text: TextKey])[] = [
  ['Sources', 'setupSources'],
  ['Exclude', 'setupExclude'],
  ['When', 'setupWhen'],
  ['Keep', 'setupKeep'],
  ['Report', 'setupReport'],
  ['HookBefore', 'setupBefore'],
  ['HookAfter', 'setupAfter'],
];
const TIME_TEXTS = {
  hourly: 'setupHourly',
  daily: 'setupDaily',
  weekly: 'setupWeekly',
  never: 'setupNever',
} as const;
const SETTLE_MS = 400;
/** Maximum number of excluded directories whose sizes are shown. */
const MOST_WEIGHED = 20;

export function SetupCard({ client }: { readonly client: string }) {
  const { offers } = useContext(Acting);
  const isConfigured = offers.includes('backup');
  const { value, error, again } = useNews<SetupAnswers>(
    isConfigured ? `setup/${client}` : undefined,
    (before, signal) => api.setup(client, before, signal),
  );
  return (
    <section class="card card-wide">
      <h2>{t('setup')}</h2>
      {isConfigured ? null : (
        <p>
          <Words text={t('setupNone')} />
        </p>
      )}
      <Notice {...{ error, again }} />
      {value === undefined ? null : (
        <>
          <dl class="setup">
            {FIELDS.map(([key, text]) =>
              value[key] === undefined ? null : (
                <div key={key}>
                  <dt>{t(text)}</dt>
                  <dd>
                    <bdi>{shownAnswer(value[key])}</bdi>
                  </dd>
                </div>
              ),
            )}
          </dl>
          <div class="flow actions">
            <SetupAct key={JSON.stringify(value)} {...{ client, value }} />
            <ActButton kind="test-reports" label={t('setupTest')} title={t('setupTest')}>
              <p>{t('setupTestText')}</p>
            </ActButton>
          </div>
        </>
      )}
    </section>
  );
}

interface SetupProps {
  readonly client: string;
  /** The answers that are in force. */
  readonly value: SetupAnswers;
}

function SetupAct({ client, value }: SetupProps) {
  const [typed, setTyped] = useState<SetupAnswers>({});
  const changed = Object.entries(typed).filter(([key, text]) => text !== value[key as Key]);
  const change = (key: Key, text: string): void => setTyped({ ...typed, [key]: text });
  return (
    <ActButton
      kind="setup"
      label={t('setupChange')}
      title={t('setupChange')}
      body={Object.fromEntries(changed)}
      isReady={changed.length > 0}
    >
      {FIELDS.map(([key, text]) => {
        const shown = typed[key] ?? value[key];
        if (shown === undefined) return null;
        const field = { label: t(text), value: shown };
        const onText = (words: string): void => change(key, words);
        if (key !== 'When')
          return <TextField key={key} {...{ ...field, onText }} spellcheck={false} />;
        return (
          <label key={key} class="field">
            {t(text)}
            <Select
              value={shown}
              options={Object.entries(TIME_TEXTS).map(([time, name]) => [time, t(name)])}
              onChoose={(time) => change(key, time)}
            />
          </label>
        );
      })}
      <p class="faint">
        <Words text={t('setupHint')} />
      </p>
      <LeftOut client={client} text={typed.Exclude ?? value.Exclude ?? ''} />
    </ActButton>
  );
}

/** Answers that are words, with their texts. */
const ANSWERS: Readonly<Record<string, TextKey>> = {
  ...TIME_TEXTS,
  none: 'setupNothing',
  all: 'setupAll',
  nobody: 'setupNobody',
  desktop: 'setupDesktop',
};

/** Returns an answer in words; one that is a list, a rule or an address, as it is written. */
function shownAnswer(value: string): string {
  const key = Object.hasOwn(ANSWERS, value) ? ANSWERS[value] : undefined;
  return key === undefined ? shownName(value) : t(key);
}

/** Shows how much of the newest backup each excluded directory has, so that a rule is weighed before it is saved. */
function LeftOut({ client, text }: { readonly client: string; readonly text: string }) {
  const settled = useSettled(text, SETTLE_MS);
  const paths = [...settled.matchAll(/"([^"]*)"|[^\s,"]+/g)]
    .map(([word, quoted]) => (quoted ?? word).replace(/\/$/, ''))
    .filter((path) => path.startsWith('/'));
  return (
    <ul class="left-out" aria-live="polite">
      {paths.slice(0, MOST_WEIGHED).map((path) => (
        <Weighed key={path} {...{ client, path }} />
      ))}
    </ul>
  );
}

function Weighed({ client, path }: { readonly client: string; readonly path: string }) {
  const { value, error } = useAnswer(`weigh/${client}${path}`, (signal) =>
    api.sizes(
      client,
      { set: undefined, since: undefined, path: pathFromText(path), measure: 'bytes' },
      signal,
    ),
  );
  if (value?.sizes !== undefined) {
    const { bytes, files } = value.sizes;
    return (
      <li>
        {t('setupLeavesOut', { path: shownName(path), bytes: shownBytes(bytes, LOCALE), n: files })}
      </li>
    );
  }
  if (error?.code !== 'NO_SUCH_PATH') return null;
  return <li class="faint">{t('setupLeavesNothing', { path: shownName(path) })}</li>;
}
