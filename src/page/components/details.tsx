/** Shows the details of one file or other entry: facts, content and versions. */
import { useEffect, useRef } from 'preact/hooks';
import { api, contentHref, type Entry } from '../api.js';
import { useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { nameOf, parentOf } from '../logic/paths.js';
import { msOfNs, shownBytes, shownMode, shownName, shownTime } from '../logic/formats.js';
import { ForgetAct } from './acts.js';
import { ContentPreview } from './content-preview.js';
import { Icon } from './icons.js';
import { Name, PathName } from './name.js';
import { Notice } from './notice.js';
import { Versions } from './versions.js';
import { Button } from './button.js';

interface DetailsProps {
  readonly client: string;
  readonly set: number;
  readonly path: string;
  readonly canRestore: boolean;
  readonly timeOf: (set: number) => string;
  readonly onClose: () => void;
  readonly onRestore: (path: string) => void;
  readonly onSet: (set: number) => void;
  readonly onDirectory: (path: string) => void;
}

export function Details(props: DetailsProps) {
  const { client, set, path, onClose } = props;
  const entry = useAnswer(`${client}/${set}${path}`, (signal) =>
    api.entry(client, set, path, signal),
  );
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [path]);
  const name = nameOf(path);
  return (
    <aside class="details" aria-label={t('details', { name: shownName(name) })}>
      <div class="details-head">
        <h2 tabIndex={-1} ref={heading}>
          <Name name={name} />
        </h2>
        <Button class="plain round" aria-label={t('close')} onClick={onClose}>
          <Icon name="close" />
        </Button>
      </div>
      <Button
        class="plain faint link"
        title={t('openDirectory')}
        onClick={() => props.onDirectory(parentOf(path) ?? '/')}
      >
        <PathName path={parentOf(path) ?? '/'} />
      </Button>
      <Notice error={entry.error} again={entry.again} />
      {entry.value === undefined ? null : <Facts {...props} entry={entry.value} />}
      <Versions {...props} name={name} />
      {entry.value?.type === 'file' ? (
        <section class="preview" aria-label={t('preview')}>
          <ContentPreview client={client} set={set} path={path} entry={entry.value} />
        </section>
      ) : null}
    </aside>
  );
}

function Facts(props: DetailsProps & { readonly entry: Entry }) {
  const { client, set, path, entry, canRestore, onRestore } = props;
  const isFile = entry.type === 'file';
  return (
    <>
      <div class="flow actions">
        {isFile ? (
          <a class="button" href={contentHref(client, set, path, true)} download>
            {t('download')}
          </a>
        ) : null}
        {canRestore ? (
          <Button class="primary" onClick={() => onRestore(path)}>
            {t('restore')}
          </Button>
        ) : null}
        <ForgetAct path={path} />
      </div>
      <dl class="facts">
        <Fact label={t('kind')} value={t(entry.type)} />
        {isFile ? <Fact label={t('size')} value={shownBytes(entry.sizeBytes, LOCALE)} /> : null}
        <Fact label={t('modified')} value={shownTime(msOfNs(entry.modifiedNs), LOCALE)} />
        <Fact label={t('permissions')} value={shownMode(entry.permissions)} />
        <Fact label={t('owner')} value={`${entry.uid}:${entry.gid}`} />
        {entry.target === undefined ? null : (
          <Fact label={t('target')} value={shownName(entry.target)} />
        )}
      </dl>
    </>
  );
}

function Fact({ label, value }: { readonly label: string; readonly value: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <bdi>{value}</bdi>
      </dd>
    </div>
  );
}
