/** Entry point of a thread that brings the catalog of a client in a bucket up to date, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '../../errors/index.js';
import { closeSharedStores, guardClient } from '../index.js';
import { nodeSystem } from '../../system/index.js';
import { catchUp } from './catch-up.js';
import type { CatchUpAnswer, CatchUpTask } from './following.js';

const { directory, umask } = workerData as CatchUpTask;
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

parentPort!.postMessage(await answer());
parentPort!.close();
