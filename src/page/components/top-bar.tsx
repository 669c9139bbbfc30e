/** The bar at the top: the views, the search, colours and keys. */
import { useEffect, useState } from 'preact/hooks';
import { api, type Client } from '../api.js';
import type { Go } from '../hooks.js';
import { chooseLanguage, LANGUAGE, labelled, t } from '../language.js';
import { type Place, VIEWS } from '../logic/place.js';
import { LANGUAGES, type TextKey } from '../logic/texts.js';
import { ClientSwitch } from './client-switch.js';
import { Dialog } from './dialog.js';
import { Icon } from './icons.js';
import { Button } from './button.js';

const KEYS: readonly (readonly [keys: TextKey, text: TextKey])[] = [
  ['keysMoveNames', 'keysMove'],
  ['keysOpenNames', 'keysOpen'],
  ['keysUpNames', 'keysUp'],
  ['keysSelectNames', 'keysSelect'],
  ['keysAllNames', 'keysAll'],
  ['keysJumpNames', 'keysJump'],
  ['keysSearchNames', 'keysSearch'],
  ['keysEscapeNames', 'keysEscape'],
  ['keysHelpNames', 'keysHelp'],
];

interface TopBarProps {
  readonly place: Place;
  readonly client: string;
  /** All clients that the page can show. */
  readonly clients: readonly Client[];
  readonly go: Go;
  readonly onKeys: () => void;
}

export function TopBar({ place, client, clients, go, onKeys }: TopBarProps) {
  return (
    <header class="row top">
      <a class="skip" href="#main" onClick={skip}>
        {t('skipToFiles')}
      </a>
      <div class="row brand">
        <img src="icon.svg" alt="" width="24" height="24" />
        <h1 class="cut">{t('product')}</h1>
        <ClientSwitch {...{ place, client, clients }} />
      </div>
      <form role="search" class="search" onSubmit={(event) => event.preventDefault()}>
        <Icon name="search" />
        <input
          id="search"
          type="search"
          aria-label={t('search')}
          placeholder={t('search')}
          value={place.search}
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => {
            const how = place.search === '' ? 'push' : 'replace';
            go({ view: 'files', search: currentTarget.value, file: undefined }, how);
          }}
          onKeyDown={(event) => {
            if (event.key === 'ArrowDown') {
              event.preventDefault();
              document.querySelector<HTMLElement>('#files')?.focus();
            }
          }}
        />
      </form>
      <nav class="views" aria-label={t('product')}>
        {VIEWS.map((view) => (
          <Button
            key={view}
            class="tab"
            aria-current={place.view === view ? 'page' : undefined}
            onClick={() => go({ view })}
          >
            {t(view)}
          </Button>
        ))}
      </nav>
      <LanguageChoice />
      <ThemeButton />
      <Button
        class="plain round"
        aria-label={t('signOut')}
        title={t('signOut')}
        onClick={() => void signOut()}
      >
        <Icon name="out" />
      </Button>
      <Button class="plain round keys" aria-label={t('help')} title={t('help')} onClick={onKeys}>
        ?
      </Button>
    </header>
  );
}

/**
 * Moves the focus to the list of files or the main part. It does not follow the link, since the address contains the
 * place and must not change.
 */
function skip(event: Event): void {
  event.preventDefault();
  const files = document.querySelector<HTMLElement>('#files');
  (files ?? document.querySelector<HTMLElement>('#main button, #main input'))?.focus();
}

/** Ends the session of this browser. Without an answer, the page shows at its next request whether it has ended. */
async function signOut(): Promise<void> {
  await api.signOut().catch(() => undefined); // the reload shows what is the case
  location.reload();
}

/** Chooses the language. Its code is shown in the place of the whole name, which the bar has no room for. */
export function LanguageChoice() {
  return (
    <label class="language" title={t('language')}>
      <span aria-hidden="true">{LANGUAGE}</span>
      <select
        aria-label={t('language')}
        value={LANGUAGE}
        onChange={({ currentTarget }) => chooseLanguage(currentTarget.value)}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const THEME_TEXTS = { system: 'themeSystem', light: 'themeLight', dark: 'themeDark' } as const;
const THEME_ICONS = { system: 'half', light: 'sun', dark: 'moon' } as const;
const THEME_KEY = 'theme';

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(
    () => THEMES.find((one) => one === localStorage.getItem(THEME_KEY)) ?? 'system',
  );
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme;
    localStorage.setItem(THEME_KEY, theme);
  }, [theme]);
  const label = labelled(t('theme'), t(THEME_TEXTS[theme]));
  return (
    <Button
      class="plain round"
      aria-label={label}
      title={label}
      onClick={() => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!)}
    >
      <Icon name={THEME_ICONS[theme]} />
    </Button>
  );
}

/** Shows the keyboard shortcuts. */
export function KeysDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title={t('keysTitle')} onClose={onClose}>
      <dl class="keys-list">
        {KEYS.map(([keys, text]) => (
          <div key={keys}>
            <dt>
              <kbd>{t(keys)}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
