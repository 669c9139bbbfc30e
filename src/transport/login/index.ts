export {
  checkKeysOfNew,
  type Credentials,
  Login,
  type LoginTarget,
  NO_CREDENTIALS,
  type SessionPlace,
} from './client-login.js';
export { greet, type Greeted } from './greeting.js';
export { type Elsewhere, linkToNamed, SentOn } from './sent-on.js';
export { greetByToken } from './token-greeting.js';
