import { openCopied } from '../helpers/copied-history.js';
import { openInBucket } from '../helpers/history-in-bucket.js';
import { openHere, openPiped, openThere } from '../helpers/history-lab.js';
import { openForMount } from '../helpers/kept-history.js';
import { openByToken } from '../helpers/token-history.js';
import { openByWeb } from '../helpers/web-server.js';
import { historySuite } from './history.suite.js';

historySuite(false, {
  local: openHere,
  'for a mount': openForMount,
  remote: openThere,
  'by a pipe': openPiped,
  'remote by HTTPS': openByWeb,
  'by a token': openByToken,
  'in a bucket': openInBucket,
  'copied from a remote server': openCopied,
});
