/**
 * Environment variables that describe the event to a hook. They are not settings. A command that a hook runs finds them
 * in its environment, so they must not be rejected as mistyped settings.
 */
export const HOOK_VARIABLES = {
  event: 'TARDIS_HOOK_EVENT',
  client: 'TARDIS_HOOK_CLIENT',
  job: 'TARDIS_HOOK_JOB',
  status: 'TARDIS_HOOK_STATUS',
  code: 'TARDIS_HOOK_CODE',
  message: 'TARDIS_HOOK_MESSAGE',
  set: 'TARDIS_HOOK_SET',
  setName: 'TARDIS_HOOK_SET_NAME',
  entries: 'TARDIS_HOOK_ENTRIES',
  scannedBytes: 'TARDIS_HOOK_SCANNED_BYTES',
  sentBytes: 'TARDIS_HOOK_SENT_BYTES',
  storedBytes: 'TARDIS_HOOK_STORED_BYTES',
  unread: 'TARDIS_HOOK_UNREAD',
  warnings: 'TARDIS_HOOK_WARNINGS',
  seconds: 'TARDIS_HOOK_SECONDS',
  lastGood: 'TARDIS_HOOK_LAST_GOOD',
  ageSeconds: 'TARDIS_HOOK_AGE_SECONDS',
} as const;
