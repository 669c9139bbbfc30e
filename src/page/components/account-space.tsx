/** The space of the account that owns a client: what its clients use of the quota, and a button that changes the quota. */
import { useContext, useState } from 'preact/hooks';
import type { Client } from '../api.js';
import { LOCALE, t } from '../language.js';
import { shownBytes, shownName } from '../logic/formats.js';
import { ActButton, Acting } from './acts.js';
import { TextField } from './fields.js';

const GIGABYTE = 1e9;
/** Largest quota that can be typed, in gigabytes. */
const MAX_GIGABYTES = 9_000_000;

interface AccountSpaceProps {
  readonly client: Client;
  /** Called when the quota was changed. */
  readonly onChanged: () => void;
}

export function AccountSpace({ client, onChanged }: AccountSpaceProps) {
  const { offers } = useContext(Acting);
  const { space } = client;
  const mayChange = offers.includes('quota');
  const before = space === undefined ? '' : String(space.quotaBytes / GIGABYTE);
  const [typed, setTyped] = useState<string>();
  const [done, setDone] = useState<number>();
  if (space === undefined && !mayChange) return null;
  const text = (typed ?? before).trim();
  const quotaBytes = text === '' ? 0 : Math.round(Number(text) * GIGABYTE);
  const isValid = quotaBytes >= 0 && quotaBytes <= MAX_GIGABYTES * GIGABYTE;
  const isLess = quotaBytes > 0 && quotaBytes <= (space?.accountBytes ?? 0);
  return (
    <div class="account-space">
      <p>{space === undefined ? t('quotaNone') : spaceText(space)}</p>
      <div class="flow actions">
        <ActButton
          kind="quota"
          label={t('actQuota')}
          title={t('actQuota')}
          body={{ quotaBytes }}
          isReady={isValid && text !== before}
          onDone={() => {
            setDone(quotaBytes);
            setTyped(undefined);
            onChanged();
          }}
        >
          <p>{t('actQuotaText', { client: shownName(client.name) })}</p>
          <TextField
            label={t('quotaField')}
            type="number"
            min={0}
            max={MAX_GIGABYTES}
            step="any"
            value={typed ?? before}
            onText={setTyped}
          />
          {isLess ? <p class="notice">{t('quotaLess')}</p> : null}
        </ActButton>
      </div>
      <p role="status">{done === undefined ? '' : doneText(done)}</p>
    </div>
  );
}

/** Returns what the clients of an account use of its quota. */
function spaceText({ accountBytes, quotaBytes }: NonNullable<Client['space']>): string {
  return t('quotaUsed', {
    used: shownBytes(accountBytes, LOCALE),
    quota: shownBytes(quotaBytes, LOCALE),
  });
}

function doneText(quotaBytes: number): string {
  if (quotaBytes === 0) return t('quotaRemoved');
  return t('quotaChanged', { quota: shownBytes(quotaBytes, LOCALE) });
}
