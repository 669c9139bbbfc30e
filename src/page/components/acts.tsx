/** Buttons that change something. Each shows a dialog once, and begins a job that the strip shows. */
import { type ComponentChildren, createContext } from 'preact';
import { useContext, useState } from 'preact/hooks';
import { api, type ActKind, type BackupSet, type PurgeRules } from '../api.js';
import { useAttempt } from '../hooks.js';
import { labelled, LOCALE, t } from '../language.js';
import { nameOf } from '../logic/paths.js';
import { shownBytes, shownName } from '../logic/formats.js';
import { Dialog } from './dialog.js';
import { Check, TextField } from './fields.js';
import { Notice } from './notice.js';
import { Words } from './words.js';
import { Button } from './button.js';

interface ActContext {
  readonly client: string;
  /** Its sets, the newest first, as they are now. */
  readonly sets: readonly BackupSet[];
  /** Acts that the program offers. */
  readonly offers: readonly string[];
  /** Directory at which the client is mounted unless another one is named. */
  readonly mountPoint: string;
  /** Called when a job has begun. */
  readonly onBegun: () => void;
}

/** The client and the offers of the program, for all buttons below. */
export const Acting = createContext<ActContext>({
  client: '',
  sets: [],
  offers: [],
  mountPoint: '',
  onBegun: () => undefined,
});

interface ActProps {
  readonly kind: ActKind;
  /** Text of the button, and of the button that confirms. */
  readonly label: string;
  readonly title: string;
  readonly body?: object | undefined;
  /** Called when the program has accepted the act. */
  readonly onDone?: () => void;
  /** True if nothing brings back what the act takes. */
  readonly isFinal?: boolean;
  /** False while the dialog lacks something. */
  readonly isReady?: boolean;
  readonly children: ComponentChildren;
}

/** Offers of the program that acts need, unless it is `change`. */
const OFFERS: Readonly<Partial<Record<ActKind, string>>> = {
  backups: 'backup',
  purges: 'purge',
  quota: 'quota',
  rules: 'rules',
  setup: 'backup',
  'test-reports': 'backup',
};

/** Shows a button and its dialog. Without the offer of the program it shows nothing. */
export function ActButton(props: ActProps) {
  const { kind, label, title, body, isFinal = false, isReady = true, onDone, children } = props;
  const { client, offers, onBegun } = useContext(Acting);
  const [isOpen, setOpen] = useState(false);
  const [error, attempt] = useAttempt();
  if (!offers.includes(OFFERS[kind] ?? 'change')) return null;
  const begun = (): void => {
    setOpen(false);
    onBegun();
    onDone?.();
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>{label} …</Button>
      {isOpen ? (
        <Dialog title={title} onClose={() => setOpen(false)}>
          <form
            class="act"
            onSubmit={(event) => {
              event.preventDefault();
              if (isReady) void attempt(api.act(client, kind, body), begun);
            }}
          >
            {children}
            <Notice error={error} />
            <div class="flow actions">
              <Button onClick={() => setOpen(false)}>{t('cancel')}</Button>
              <button type="submit" class={isFinal ? 'danger' : 'primary'} disabled={!isReady}>
                {label}
              </button>
            </div>
          </form>
        </Dialog>
      ) : null}
    </>
  );
}

/** Buttons for the whole client. */
export function ClientActs() {
  const [isQuick, setQuick] = useState(false);
  const how = { body: { readsAll: !isQuick }, onDone: () => setQuick(false) };
  return (
    <div class="flow actions">
      <ActButton kind="backups" label={t('actBackup')} title={t('actBackup')}>
        <p>
          <Words text={t('actBackupText')} />
        </p>
      </ActButton>
      <ActButton kind="checks" label={t('actCheck')} title={t('actCheckTitle')} {...how}>
        <p>{t('actCheckText')}</p>
        <Check label={t('actCheckQuick')} isOn={isQuick} onChange={setQuick} />
      </ActButton>
    </div>
  );
}

/** Mounts the client by one click, since that changes nothing in the store. */
export function MountAct() {
  const { client, offers, mountPoint, onBegun } = useContext(Acting);
  const [typed, setTyped] = useState<string>();
  const [error, attempt] = useAttempt();
  const directory = typed ?? mountPoint;
  if (!offers.includes('mount')) return null;
  const begin = (event: Event): void => {
    event.preventDefault();
    void attempt(api.act(client, 'mounts', { directory }), onBegun);
  };
  return (
    <form class="act" onSubmit={begin}>
      <TextField label={t('actMountAt')} value={directory} onText={setTyped} />
      <button type="submit" disabled={!directory.startsWith('/')}>
        {t('actMount')}
      </button>
      <Notice error={error} />
    </form>
  );
}

/** Buttons for one set. */
export function SetActs({ set, when }: { readonly set: BackupSet; readonly when: string }) {
  const { isLocked, tags } = set;
  const sets = [set.set];
  const lock = t(isLocked ? 'actUnlock' : 'actLock');
  return (
    <div class="flow actions">
      <ActButton
        kind="locks"
        label={lock}
        title={labelled(lock, when)}
        body={{ sets, isLocked: !isLocked }}
      >
        <p>{t(isLocked ? 'actUnlockText' : 'actLockText')}</p>
      </ActButton>
      <TagAct sets={sets} tags={tags} when={when} />
      {isLocked ? null : (
        <ActButton
          kind="deletions"
          label={t('actDelete')}
          title={labelled(t('actDelete'), when)}
          body={{ sets }}
          isFinal
        >
          <p>{t('actDeleteText')}</p>
        </ActButton>
      )}
    </div>
  );
}

interface TagProps {
  readonly sets: readonly number[];
  readonly tags: readonly string[];
  readonly when: string;
}

/** Changes the tags of a set, which are shown as words between blanks. */
function TagAct({ sets, tags, when }: TagProps) {
  const [text, setText] = useState<string>();
  const words = (text ?? tags.join(' ')).split(/[\s,]+/).filter((word) => word !== '');
  const addTags = words.filter((word) => !tags.includes(word));
  const removeTags = tags.filter((tag) => !words.includes(tag));
  return (
    <ActButton
      kind="tags"
      label={t('actTag')}
      title={labelled(t('actTag'), when)}
      body={{ sets, addTags, removeTags }}
      isReady={addTags.length + removeTags.length > 0}
    >
      <TextField label={t('actTagWords')} value={text ?? tags.join(' ')} onText={setText} />
    </ActButton>
  );
}

interface PurgeProps {
  readonly rules: PurgeRules;
  /** Number of sets that go, and of the bytes that this frees. */
  readonly gone: number;
  readonly freedBytes: number | undefined;
}

/** Returns the key under which a rule is stored. */
export function keyOfRule(rule: string): string {
  return rule.charAt(0).toUpperCase() + rule.slice(1);
}

/** Carries out the purge of a preview. */
export function PurgeAct({ rules, gone, freedBytes }: PurgeProps) {
  const [saves, setSaves] = useState(true);
  return (
    <ActButton
      kind="purges"
      label={t('actPurge')}
      title={t('actPurge')}
      body={{ rules: namedRules(rules), saves }}
      isFinal
      isReady={gone > 0 || saves}
    >
      <p>{t('actPurgeText', { n: gone, bytes: shownBytes(freedBytes ?? 0, LOCALE) })}</p>
      <Check label={t('actPurgeSaves')} isOn={saves} onChange={setSaves} />
    </ActButton>
  );
}

/** Returns rules by the names of their settings. */
function namedRules(rules: PurgeRules): PurgeRules {
  return Object.fromEntries(Object.entries(rules).map(([rule, words]) => [keyOfRule(rule), words]));
}

interface RulesProps extends Pick<PurgeProps, 'rules' | 'gone'> {
  /** Called when the rules are stored. */
  readonly onDone: () => void;
}

/** Stores rules at a server, whose purges apply them. */
export function RulesAct({ rules, gone, onDone }: RulesProps) {
  return (
    <ActButton
      kind="rules"
      label={t('actRules')}
      title={t('actRules')}
      body={namedRules(rules)}
      onDone={onDone}
      isFinal
    >
      <p>{t('actRulesText', { n: gone })}</p>
    </ActButton>
  );
}

/** Requests that a path be deleted from all sets. */
export function ForgetAct({ path }: { readonly path: string }) {
  const name = shownName(nameOf(path));
  return (
    <ActButton
      kind="forgets"
      label={t('actForget')}
      title={labelled(t('actForget'), name)}
      body={{ paths: [path] }}
      isFinal
    >
      <p>{t('actForgetText')}</p>
    </ActButton>
  );
}
