/** Shows the versions of a path as a timeline, newest first. Two versions can be compared. */
import { useState } from 'preact/hooks';
import { api, type Version } from '../api.js';
import { useAnswer } from '../hooks.js';
import { labelled, LOCALE, t } from '../language.js';
import { msOfNs, shownBytes, shownTime } from '../logic/formats.js';
import { Comparison, type ComparedVersion } from './comparison.js';
import { Notice } from './notice.js';
import { Button } from './button.js';

interface VersionsProps {
  readonly client: string;
  readonly path: string;
  readonly name: string;
  /** Number of the set whose version is shown. */
  readonly set: number;
  readonly timeOf: (set: number) => string;
  readonly onSet: (set: number) => void;
}

export function Versions(props: VersionsProps) {
  const { client, path, set } = props;
  const [chosen, setChosen] = useState<readonly number[]>([]);
  const [isComparing, setComparing] = useState(false);
  const answer = useAnswer(`${client}/versions${path}`, (signal) =>
    api.versions(client, path, signal),
  );
  const versions = (answer.value?.versions ?? []).toReversed();
  const choose = (firstSet: number): void => {
    const others = chosen.filter((one) => one !== firstSet);
    setChosen(others.length === chosen.length ? [...others, firstSet].slice(-2) : others);
  };
  const both = versions.filter(({ firstSet }) => chosen.includes(firstSet));
  const [after, before] = both;
  return (
    <section class="versions">
      <div class="row bar">
        <h3>{t('versions')}</h3>
        {versions.length < 2 ? null : (
          <Button
            disabled={both.length !== 2}
            title={t('compareChoose')}
            onClick={() => setComparing(true)}
          >
            {t('compare')}
          </Button>
        )}
      </div>
      <Notice error={answer.error} again={answer.again} />
      <ol class="timeline" tabIndex={0} aria-label={t('versions')}>
        {versions.map((version) => (
          <VersionItem
            key={version.firstSet}
            {...props}
            version={version}
            isShown={version.firstSet <= set && (version.lastSet ?? Infinity) >= set}
            isChosen={chosen.includes(version.firstSet)}
            canChoose={
              versions.length > 1 && version.entry.type === 'file' && version.set !== undefined
            }
            onChoose={() => choose(version.firstSet)}
          />
        ))}
      </ol>
      {isComparing && after !== undefined && before !== undefined ? (
        <Comparison
          client={client}
          path={path}
          name={props.name}
          before={comparedOf(before)}
          after={comparedOf(after)}
          onClose={() => setComparing(false)}
        />
      ) : null}
    </section>
  );
}

function comparedOf({ firstSet, set = firstSet, entry }: Version): ComparedVersion {
  return { set, entry, time: shownTime(msOfNs(entry.modifiedNs), LOCALE) };
}

interface ItemProps extends VersionsProps {
  readonly version: Version;
  readonly isShown: boolean;
  readonly isChosen: boolean;
  readonly canChoose: boolean;
  readonly onChoose: () => void;
}

function VersionItem(props: ItemProps) {
  const { version, isShown, isChosen, canChoose, timeOf } = props;
  const { firstSet, lastSet, set: inSet, entry } = version;
  const time = shownTime(msOfNs(entry.modifiedNs), LOCALE);
  const from = timeOf(firstSet);
  const span =
    lastSet === undefined
      ? t('versionSince', { from })
      : t('versionSpan', { from, to: timeOf(lastSet) });
  return (
    <li class={isShown ? 'shown' : ''} aria-current={isShown ? 'true' : undefined}>
      {canChoose ? (
        <input
          type="checkbox"
          aria-label={t('compareThis', { time })}
          checked={isChosen}
          onChange={props.onChoose}
        />
      ) : null}
      <div>
        <strong>{time}</strong>{' '}
        {entry.type === 'file' ? (
          <span class="faint small">{shownBytes(entry.sizeBytes, LOCALE)}</span>
        ) : null}
        {entry.isDamaged === true ? <span class="mark mark-bad">{t('damaged')}</span> : null}
        <div class="faint small">{span}</div>
      </div>
      {isShown ? (
        <span class="mark">{t('versionShown')}</span>
      ) : inSet === undefined ? null : (
        <Button aria-label={labelled(t('versionShow'), time)} onClick={() => props.onSet(inSet)}>
          {t('versionShow')}
        </Button>
      )}
    </li>
  );
}
