/** Shows the path of the directory as steps to choose, or as text to edit. */
import { useRef, useState } from 'preact/hooks';
import { t } from '../language.js';
import { crumbsOf, parentOf, pathFromText, textOf } from '../logic/paths.js';
import { Icon } from './icons.js';
import { Name } from './name.js';
import { Button } from './button.js';

interface PathBarProps {
  readonly path: string;
  readonly onGo: (path: string) => void;
}

export function PathBar({ path, onGo }: PathBarProps) {
  const [isTyping, setTyping] = useState(false);
  const above = parentOf(path);
  return (
    <div class="row path-bar">
      <Button
        class="plain round"
        aria-label={t('up')}
        title={t('up')}
        disabled={above === undefined}
        onClick={() => onGo(above ?? '/')}
      >
        <Icon name="up" />
      </Button>
      {isTyping ? (
        <PathInput path={path} onGo={onGo} onEnd={() => setTyping(false)} />
      ) : (
        <Crumbs path={path} onGo={onGo} />
      )}
      <Button
        class="plain round"
        aria-label={t('editPath')}
        title={t('editPath')}
        aria-expanded={isTyping}
        onClick={() => setTyping(!isTyping)}
      >
        <Icon name={isTyping ? 'close' : 'edit'} />
      </Button>
    </div>
  );
}

function Crumbs({ path, onGo }: PathBarProps) {
  const crumbs = crumbsOf(path);
  return (
    <nav class="crumbs" aria-label={t('path')}>
      <ol>
        {crumbs.map((crumb, index) => (
          <li key={crumb.path}>
            <Button
              class="plain"
              aria-current={index === crumbs.length - 1 ? 'page' : undefined}
              aria-label={index === 0 ? t('top') : undefined}
              onClick={() => onGo(crumb.path)}
            >
              {index === 0 ? '/' : <Name name={textOf(crumb.segment)} />}
            </Button>
          </li>
        ))}
      </ol>
    </nav>
  );
}

interface PathInputProps extends PathBarProps {
  readonly onEnd: () => void;
}

function PathInput({ path, onGo, onEnd }: PathInputProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <form
      class="path-input"
      onSubmit={(event) => {
        event.preventDefault();
        onGo(pathFromText(input.current!.value));
        onEnd();
      }}
    >
      <input
        ref={(element) => {
          if (input.current === null) element?.select();
          input.current = element;
        }}
        type="text"
        aria-label={t('path')}
        defaultValue={textOf(path)}
        spellcheck={false}
        autocomplete="off"
        onKeyDown={(event) => {
          if (event.key === 'Escape') onEnd();
        }}
      />
    </form>
  );
}
