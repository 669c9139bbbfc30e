export {
  checkKeysOfNew,
  type Credentials,
  Login,
  type LoginTarget,
  NO_CREDENTIALS,
} from './client-login.js';
