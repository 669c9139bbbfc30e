export { callUrl, type CallOptions, parseUrl, shownUrl } from './call-url.js';
export { eventLines, type HookEvent, hookVariables } from './event.js';
export { checkMailSettings, type Mail, mailText, type MailSettings, sendMail } from './mail.js';
export { type CommandOptions, runCommand } from './run-command.js';
