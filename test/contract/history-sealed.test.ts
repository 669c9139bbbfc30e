import { openCopied } from '../helpers/copied-history.js';
import { openInBucket } from '../helpers/history-in-bucket.js';
import { openHere, openPiped, openThere } from '../helpers/history-lab.js';
import { openForMount } from '../helpers/kept-history.js';
import { openByWeb } from '../helpers/web-server.js';
import { historySuite } from './history.suite.js';

historySuite(true, {
  'sealed, local': openHere,
  'sealed, for a mount': openForMount,
  'sealed, remote': openThere,
  'sealed, by a pipe': openPiped,
  'sealed, remote by HTTPS': openByWeb,
  'sealed, in a bucket': openInBucket,
  'sealed, copied from a remote server': openCopied,
});
