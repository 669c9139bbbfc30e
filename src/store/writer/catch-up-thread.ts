/** Entry point of a thread that brings the catalog of a client in a bucket up to date, and ends. */
import { toWire } from '../../errors/index.js';
import { closeSharedStores, guardClient } from '../index.js';
import { nodeSystem, threadEnd } from '../../system/index.js';
import { catchUp } from './catch-up.js';
import type { CatchUpAnswer, CatchUpChannel } from './following.js';

const channel = threadEnd<CatchUpChannel>();
const { directory, umask } = channel.data;
guardClient(directory);

async function answer(): Promise<CatchUpAnswer> {
  try {
    await catchUp(nodeSystem(umask), directory);
    return { error: undefined };
  } catch (error) {
    return { error: toWire(error) };
  } finally {
    await closeSharedStores();
  }
}

void answer().then((answered) => {
  channel.send(answered);
  channel.close();
});
