/**
 * Shows the sets that a purge by given rules would delete, the bytes that this frees, and the reasons to keep the others.
 */
import { useEffect, useState } from 'preact/hooks';
import { api, type BackupSet, type PurgeRules } from '../api.js';
import { useAnswer, useSettled } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { keptBy } from '../logic/causes.js';
import { shownBytes, shownName, shownTime } from '../logic/shown.js';
import { PurgeAct } from './acts.js';
import { Notice } from './notice.js';

const RULES = ['keepHourly', 'keepDaily', 'keepWeekly', 'keepMonthly', 'keepYearly'] as const;
const START: PurgeRules = {
  keepHourly: 24,
  keepDaily: 14,
  keepWeekly: 8,
  keepMonthly: 12,
  keepYearly: 0,
};
const MAX_KEPT = 10_000;
const SETTLE_MS = 300;

interface PurgeProps {
  readonly client: string;
  readonly sets: readonly BackupSet[];
  /** Options by which a command finds the store. */
  readonly storeWords: string;
}

export function PurgePreview({ client, sets, storeWords }: PurgeProps) {
  const [rules, setRules] = useState(START);
  const settledRules = useSettled(rules, SETTLE_MS);
  const listed = sets.map(({ set }) => set).join(); // another set changes the answer
  const answer = useAnswer(`purge/${client}/${listed}/${JSON.stringify(settledRules)}`, (signal) =>
    api.purge(client, settledRules, signal),
  );
  const times = new Map(sets.map(({ set, openedAtMs }) => [set, openedAtMs]));
  return (
    <>
      {storeWords === '' ? null : <p class="faint">{t('purgeHint')}</p>}
      <fieldset class="rules">
        <legend>{t('purgeKeep')}</legend>
        {RULES.map((rule) => (
          <label key={rule} class="field">
            {t(rule)}
            <input
              type="number"
              min={0}
              max={MAX_KEPT}
              value={rules[rule]}
              onInput={({ currentTarget }) =>
                setRules({ ...rules, [rule]: boundedCount(currentTarget.value) })
              }
            />
          </label>
        ))}
      </fieldset>
      {storeWords === '' ? null : (
        <Command text={commandOf(`${storeWords} -C ${client}`, settledRules)} />
      )}
      {answer.error === undefined ? null : <Notice error={answer.error} again={answer.again} />}
      {answer.value === undefined ? null : (
        <>
          <Decisions {...answer.value} times={times} />
          {rules === settledRules ? (
            <PurgeAct
              rules={settledRules}
              gone={answer.value.sets.filter(({ isDeleted }) => isDeleted).length}
              freedBytes={answer.value.freedBytes}
            />
          ) : null}
        </>
      )}
    </>
  );
}

function keptText(reason: Parameters<typeof keptBy>[0]): string {
  return shownName(keptBy(reason, t));
}

function boundedCount(text: string): number {
  const count = Number.parseInt(text, 10);
  return Number.isNaN(count) ? 0 : Math.max(0, Math.min(MAX_KEPT, count));
}

function commandOf(where: string, rules: PurgeRules): string {
  const words = RULES.filter((rule) => rules[rule] > 0).map(
    (rule) => `--${rule.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)} ${rules[rule]}`,
  );
  return ['sonic purge', where, ...words].join(' ');
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
    <p class="command">
      <code>{text}</code>
      <button type="button" onClick={copy}>
        {t('copy')}
      </button>
      <span role="status">{isCopied ? t('copied') : ''}</span>
    </p>
  );
}

interface DecisionsProps extends Awaited<ReturnType<typeof api.purge>> {
  readonly times: ReadonlyMap<number, number>;
}

function Decisions({ sets: decisions, freedBytes, times }: DecisionsProps) {
  const going = decisions.filter(({ isDeleted }) => isDeleted).length;
  return (
    <>
      <p role="status">
        {t('purgeDeletes', { n: going, kept: decisions.length - going })}{' '}
        {freedBytes === undefined
          ? null
          : t('purgeFrees', { bytes: shownBytes(freedBytes, LOCALE) })}
      </p>
      <div class="table-scroll" tabIndex={0} role="region" aria-label={t('purge')}>
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
