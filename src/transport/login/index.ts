export {
  checkKeysOfNew,
  type Credentials,
  Login,
  type LoginTarget,
  NO_CREDENTIALS,
  type SessionPlace,
} from './client-login.js';
export { greet, type Greeted, placeNamedIn } from './greeting.js';
export { greetByToken } from './token-greeting.js';
