/** Shows an image or text. The content is never interpreted as HTML. */
import { useEffect, useState } from 'preact/hooks';
import { api, contentHref, type Entry } from '../api.js';
import { useAnswer } from '../hooks.js';
import { LOCALE, t } from '../language.js';
import { imageType, MAX_IMAGE_BYTES, MAX_TEXT_BYTES, textIn } from '../logic/preview.js';
import { shownBytes, shownName } from '../logic/formats.js';
import { Notice } from './notice.js';

interface PreviewProps {
  readonly client: string;
  readonly set: number;
  readonly path: string;
  readonly entry: Entry;
}

export function ContentPreview(props: PreviewProps) {
  const { client, set, path, entry } = props;
  const image = imageType(entry.name);
  const isTooLarge = image !== undefined && entry.sizeBytes > MAX_IMAGE_BYTES;
  const isRequested = entry.sizeBytes > 0 && !isTooLarge;
  const maxBytes = image === undefined ? MAX_TEXT_BYTES : MAX_IMAGE_BYTES;
  const key = isRequested ? `${client}/${set}${path}` : undefined;
  const href = contentHref(client, set, path);
  const content = useAnswer(key, (signal) => api.content(href, maxBytes, signal));
  if (entry.sizeBytes === 0) return <p class="faint">{t('previewEmpty')}</p>;
  if (isTooLarge) return <p class="faint">{t('previewLarge')}</p>;
  if (content.error !== undefined) return <Notice error={content.error} again={content.again} />;
  if (content.value === undefined) return <p class="faint">{t('loading')}</p>;
  if (image !== undefined) {
    return <ImagePreview bytes={content.value} type={image} name={entry.name} />;
  }
  const text = textIn(content.value);
  if (text === undefined) return <p class="faint">{t('previewNone')}</p>;
  return (
    <>
      <pre class="box preview-text" tabIndex={0} aria-label={t('preview')} dir="auto">
        {text}
      </pre>
      {content.value.length < entry.sizeBytes ? (
        <p class="faint">{t('previewCut', { bytes: shownBytes(content.value.length, LOCALE) })}</p>
      ) : null}
    </>
  );
}

interface ImageProps {
  readonly bytes: Uint8Array;
  readonly type: string;
  readonly name: string;
}

function ImagePreview({ bytes, type, name }: ImageProps) {
  const [url, setUrl] = useState<string>();
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }));
    setUrl(made);
    setBroken(false);
    return () => URL.revokeObjectURL(made);
  }, [bytes, type]);
  if (isBroken) return <p class="faint">{t('previewNone')}</p>;
  if (url === undefined) return null;
  return (
    <img class="preview-image" src={url} alt={shownName(name)} onError={() => setBroken(true)} />
  );
}
