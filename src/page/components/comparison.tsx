/** Shows two versions of a text side by side, or one below the other if there is not enough room. */
import { api, contentHref, type Entry } from '../api.js';
import { useAnswer } from '../hooks.js';
import { labelled, t } from '../language.js';
import { MAX_DIFF_BYTES, textIn } from '../logic/preview.js';
import { type DiffRow, diffRows, type DiffSide } from '../logic/text-diff.js';
import { shownName } from '../logic/formats.js';
import { Dialog } from './dialog.js';
import { Notice } from './notice.js';

export interface ComparedVersion {
  /** Number of a set that contains the version. */
  readonly set: number;
  readonly entry: Entry;
  readonly time: string;
}

interface ComparisonProps {
  readonly client: string;
  readonly path: string;
  readonly name: string;
  readonly before: ComparedVersion;
  readonly after: ComparedVersion;
  readonly onClose: () => void;
}

type Compared = readonly DiffRow[] | 'large' | 'binary';

export function Comparison(props: ComparisonProps) {
  const { client, path, name, before, after, onClose } = props;
  const answer = useAnswer(`${client}/${before.set}/${after.set}${path}`, (signal) =>
    compared(props, signal),
  );
  return (
    <Dialog title={t('diffOf', { name: shownName(name) })} isWide onClose={onClose}>
      <Notice error={answer.error} again={answer.again} />
      {answer.isLoading ? <p role="status">{t('loading')}</p> : null}
      {answer.value === undefined ? null : (
        <Differences rows={answer.value} before={before.time} after={after.time} />
      )}
    </Dialog>
  );
}

async function compared(
  { client, path, before, after }: ComparisonProps,
  signal: AbortSignal,
): Promise<Compared> {
  if (Math.max(before.entry.sizeBytes, after.entry.sizeBytes) > MAX_DIFF_BYTES) return 'large';
  const bytesOf = async ({ set, entry }: ComparedVersion): Promise<Uint8Array> =>
    entry.sizeBytes === 0
      ? new Uint8Array(0)
      : api.content(contentHref(client, set, path), MAX_DIFF_BYTES, signal);
  const [old, fresh] = await Promise.all([bytesOf(before), bytesOf(after)]);
  const [oldText, freshText] = [textIn(old), textIn(fresh)];
  if (oldText === undefined || freshText === undefined) return 'binary';
  return diffRows(oldText, freshText) ?? 'large';
}

interface DifferencesProps {
  readonly rows: Compared;
  readonly before: string;
  readonly after: string;
}

function Differences({ rows, before, after }: DifferencesProps) {
  if (rows === 'large') return <p>{t('diffLarge')}</p>;
  if (rows === 'binary') return <p>{t('diffBinary')}</p>;
  if (rows.every(({ kind }) => kind === 'same' || kind === 'skipped'))
    return <p>{t('diffSame')}</p>;
  return (
    <div class="box diff-scroll" tabIndex={0} role="region" aria-label={`${before} – ${after}`}>
      <table class="diff">
        <colgroup>
          <col class="number" />
          <col />
          <col class="number" />
          <col />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" colSpan={2}>
              {labelled(t('versionOlder'), before)}
            </th>
            <th scope="col" colSpan={2}>
              {labelled(t('versionNewer'), after)}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <DiffLine key={index} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function DiffLine({ row }: { readonly row: DiffRow }) {
  if (row.kind === 'skipped') {
    return (
      <tr class="skipped">
        <td colSpan={4}>{t('diffSkipped', { n: row.lines })}</td>
      </tr>
    );
  }
  const isChange = row.kind !== 'same';
  return (
    <tr class={row.kind}>
      <Side side={row.before} kind={isChange ? 'gone' : 'same'} />
      <Side side={row.after} kind={isChange ? 'new' : 'same'} />
    </tr>
  );
}

interface SideProps {
  readonly side: DiffSide | undefined;
  readonly kind: 'gone' | 'new' | 'same';
}

function Side({ side, kind }: SideProps) {
  if (side === undefined) return <td class="nothing" colSpan={2} />;
  const word = kind === 'gone' ? t('lineGone') : t('lineNew');
  return (
    <>
      <td class="number">{side.line}</td>
      <td class={`line ${kind === 'same' ? '' : `line-${kind}`}`}>
        {kind === 'same' ? null : (
          <span class="sign" role="img" aria-label={word}>
            {kind === 'gone' ? '−' : '+'}
          </span>
        )}
        <bdi>{shownName(side.text.replaceAll('\t', '    '))}</bdi>
      </td>
    </>
  );
}
