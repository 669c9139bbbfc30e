export {
  checkKeysOfNew,
  type Credentials,
  type KeptStretch,
  Login,
  NO_CREDENTIALS,
} from './client-login.js';
export { greet, type Greeted } from './greeting.js';
export { type Elsewhere, linkToNamed, SentOn } from './sent-on.js';
export { greetByToken } from './greeting.js';
