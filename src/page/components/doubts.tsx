/** Shows a warning about entries that are shown but not proven. */
import { useEffect, useState } from 'preact/hooks';
import { api, onDoubts } from '../api.js';
import { t } from '../language.js';
import { English } from './words.js';
import { Icon } from './icons.js';

export function Doubts({ client }: { readonly client: string }) {
  const [doubts, setDoubts] = useState<readonly string[]>([]);
  useEffect(() => {
    const controller = new AbortController();
    const read = (): void => {
      api.session(client, controller.signal).then(
        (session) => setDoubts(session.doubts ?? []),
        () => undefined, // nothing is shown here, since another view shows that the program does not answer
      );
    };
    const end = onDoubts(read);
    return () => {
      end();
      controller.abort();
      setDoubts([]);
    };
  }, [client]);
  return (
    <div role="status">
      <DoubtTexts doubts={doubts} />
    </div>
  );
}

export function DoubtTexts({ doubts }: { readonly doubts: readonly string[] }) {
  if (doubts.length === 0) return null;
  return (
    <div class="notice doubts">
      <Icon name="warning" />
      <div>
        <strong>{t('unproven')}</strong>
        <ul>
          {doubts.map((text) => (
            <li key={text}>
              <English text={text} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
