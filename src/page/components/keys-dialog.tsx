/** Shows the keyboard shortcuts. */
import { t } from '../language.js';
import type { TextKey } from '../strings.js';
import { Dialog } from './dialog.js';

const KEYS: readonly (readonly [keys: string, text: TextKey])[] = [
  ['↑ ↓ PgUp PgDn Home End', 'keysMove'],
  ['Enter', 'keysOpen'],
  ['Backspace', 'keysUp'],
  ['Space', 'keysSelect'],
  ['Ctrl+A', 'keysAll'],
  ['a – z', 'keysJump'],
  ['/', 'keysSearch'],
  ['Esc', 'keysEscape'],
  ['?', 'keysHelp'],
];

export function KeysDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title={t('keysTitle')} onClose={onClose}>
      <dl class="keys-list">
        {KEYS.map(([keys, text]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
