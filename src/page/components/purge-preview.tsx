/**
 * Shows the sets that a purge by given rules would delete, the bytes that this frees, and the reasons to keep the others.
 */
import { useEffect, useState } from 'preact/hooks';
import { api, type BackupSet, type PurgeRules } from '../api.js';
import { useAnswer, useSettled } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { keptBy } from '../logic/causes.js';
import { shownBytes, shownClient, shownName, shownTime } from '../logic/formats.js';
import type { TextKey } from '../logic/texts.js';
import { keyOfRule, PurgeAct, RulesAct } from './acts.js';
import { TextField } from './fields.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

/** Rules that are numbers of sets, and those that are words, with their texts. The last ones are shown on request. */
const COUNTS = {
  keepLast: 'keepLastRule',
  keepHourly: 'keepHourly',
  keepDaily: 'keepDaily',
  keepWeekly: 'keepWeekly',
  keepMonthly: 'keepMonthly',
  keepYearly: 'keepYearly',
} as const;
const WORDS = { keepWithin: 'keepWithinRule', keepTags: 'keepTagsRule' } as const;
const RARE = {
  endedAfter: 'endedAfterRule',
  keepPeriods: 'keepPeriodsRule',
  priorities: 'prioritiesRule',
} as const;
const RULES = Object.keys({ ...COUNTS, ...WORDS, ...RARE });

/** Rules for a client that has none: those that `tardis setup` proposes. */
const USUAL: PurgeRules = { keepWithin: '2d', keepDaily: '14', keepWeekly: '8', keepMonthly: '12' };
const MAX_KEPT = 100_000;
const SETTLE_MS = 300;

interface PurgeProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  /** Options by which a command finds the store. */
  readonly storeWords: string;
}

export function PurgePreview(props: PurgeProps) {
  const { client } = props;
  const stored = useAnswer(`rules/${client}`, (signal) => api.purge(client, {}, signal));
  const [keptOf, setKeptOf] = useState<string>();
  if (stored.error !== undefined) return <Notice error={stored.error} again={stored.again} />;
  if (stored.value === undefined) return <p role="status">{t('loading')}</p>;
  return (
    <>
      <PurgeForm
        key={client}
        {...props}
        start={startOf(stored.value.stored)}
        onEdit={() => setKeptOf(undefined)}
        onKept={() => {
          setKeptOf(client);
          stored.again();
        }}
      />
      <p role="status">{keptOf === client ? t('rulesKept') : ''}</p>
    </>
  );
}

/** Returns the rules that are stored with the client, or the usual ones if it has none. */
function startOf(stored: Readonly<Record<string, string>>): PurgeRules {
  const found = RULES.map((rule) => [rule, stored[keyOfRule(rule)] ?? ''] as const);
  const isSet = found.some(([rule, words]) => rule !== 'priorities' && words !== '');
  const none = Object.fromEntries(RULES.map((rule) => [rule, '']));
  return isSet ? Object.fromEntries(found) : { ...none, ...USUAL };
}

interface FormProps extends PurgeProps {
  /** The rules that are stored, or those that are proposed; when they change, the fields show them. */
  readonly start: PurgeRules;
  readonly onEdit: () => void;
  readonly onKept: () => void;
}

function PurgeForm({ client, sets, storeWords, start, onEdit, onKept }: FormProps) {
  const [rules, setRules] = useState(start);
  const started = JSON.stringify(start);
  useEffect(
    // Equal ones stay the same object, so that nothing below is drawn anew.
    () => setRules((before) => (JSON.stringify(before) === started ? before : start)),
    [started],
  );
  const settledRules = useSettled(rules, SETTLE_MS);
  const listed = sets.map(({ set }) => set).join(); // another set changes the answer
  const answer = useAnswer(`purge/${client}/${listed}/${JSON.stringify(settledRules)}`, (signal) =>
    api.purge(client, settledRules, signal),
  );
  const times = new Map(sets.map(({ set, openedAtMs }) => [set, openedAtMs]));
  const field = ([rule, text]: [string, TextKey], isCount = false) => (
    <TextField
      key={rule}
      label={t(text)}
      {...(isCount ? ({ type: 'number', min: 0, max: MAX_KEPT } as const) : {})}
      value={rules[rule] ?? ''}
      spellcheck={false}
      onText={(words) => {
        onEdit();
        setRules({ ...rules, [rule]: isCount ? boundedCount(words) : words.trim() });
      }}
    />
  );
  return (
    <>
      {storeWords === '' ? null : <p class="faint">{t('purgeHint')}</p>}
      <fieldset class="flow rules">
        <legend>{t('purgeKeep')}</legend>
        {Object.entries(COUNTS).map((rule) => field(rule, true))}
        {Object.entries(WORDS).map((rule) => field(rule))}
      </fieldset>
      <details>
        <summary>{t('rulesMore')}</summary>
        <div class="flow rules">{Object.entries(RARE).map((rule) => field(rule))}</div>
      </details>
      {storeWords === '' ? null : (
        <Command text={commandOf(`${storeWords} -C ${shownClient(client)}`, settledRules)} />
      )}
      <Notice error={answer.error} again={answer.again} />
      {answer.value === undefined ? null : (
        <>
          <Decisions {...answer.value} times={times} />
          {rules === settledRules ? (
            <>
              <PurgeAct
                rules={settledRules}
                gone={deletedIn(answer.value)}
                freedBytes={answer.value.freedBytes}
              />
              <RulesAct rules={settledRules} gone={deletedIn(answer.value)} onDone={onKept} />
            </>
          ) : null}
        </>
      )}
    </>
  );
}

/** Returns the number of sets that a purge would delete. */
function deletedIn({ sets }: Pick<Awaited<ReturnType<typeof api.purge>>, 'sets'>): number {
  return sets.filter(({ isDeleted }) => isDeleted).length;
}

function keptText(reason: Parameters<typeof keptBy>[0]): string {
  return shownName(keptBy(reason, t));
}

/** Returns a number of sets as the rules have it; empty for none. */
function boundedCount(text: string): string {
  const count = Number.parseInt(text, 10);
  return Number.isNaN(count) || count <= 0 ? '' : String(Math.min(MAX_KEPT, count));
}

function commandOf(where: string, rules: PurgeRules): string {
  const words = RULES.flatMap((rule) => {
    const given = rules[rule] ?? '';
    if (given === '') return [];
    if (rule === 'keepTags') return given.split(/[,\s]+/).map((tag) => `--keep-tag ${quoted(tag)}`);
    const flag = rule.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`);
    return [`--${flag} ${quoted(given)}`];
  });
  return ['sonic purge', where, ...words].join(' ');
}

/** Returns a word of a command line, in quotes if a shell needs them. */
function quoted(word: string): string {
  return /^[\w.,:-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Shows a command, with a button that copies it. */
export function Command({ text }: { readonly text: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => setCopied(false), [text]);
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false), // the text can be selected and copied by hand
    );
  };
  return (
    <p class="row flow command">
      <code>{text}</code>
      <Button onClick={copy}>{t('copy')}</Button>
      <span role="status">{isCopied ? t('copied') : ''}</span>
    </p>
  );
}

interface DecisionsProps extends Awaited<ReturnType<typeof api.purge>> {
  readonly times: ReadonlyMap<number, number>;
}

function Decisions({ sets: decisions, freedBytes, times }: DecisionsProps) {
  const going = deletedIn({ sets: decisions });
  return (
    <>
      <p role="status">
        {t('purgeDeletes', { n: going, kept: decisions.length - going })}{' '}
        {freedBytes === undefined
          ? null
          : t('purgeFrees', { bytes: shownBytes(freedBytes, LOCALE) })}
      </p>
      <div class="box table-scroll" tabIndex={0} role="region" aria-label={t('purge')}>
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">{t('set')}</th>
              <th scope="col">{t('time')}</th>
              <th scope="col">{t('state')}</th>
              <th scope="col">{t('reason')}</th>
            </tr>
          </thead>
          <tbody>
            {decisions.toReversed().map(({ set, isDeleted, reasons }) => (
              <tr key={set}>
                <td>{set}</td>
                <td>{shownTime(times.get(set), LOCALE)}</td>
                <td>
                  <span class={`mark ${isDeleted ? 'mark-bad' : 'mark-good'}`}>
                    {t(isDeleted ? 'purgeGoes' : 'purgeStays')}
                  </span>
                </td>
                <td>{isDeleted ? t('keepNone') : reasons.map(keptText).join(' · ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
