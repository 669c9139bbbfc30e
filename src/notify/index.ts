export { callUrl, parseUrl } from './call-url.js';
export { eventLines, type HookEvent, hookVariables } from './event.js';
export { checkMailSettings, mailText, type MailSettings, sendMail } from './mail.js';
export { hasDesktop, showNotice } from './notice.js';
export { runCommand, TakenStream } from './run-command.js';
