// Exits with 0 if the server of this container answers: it gives out its figures.
import { get } from 'node:http';

const ADDRESS = 'http://127.0.0.1:9742/metrics';
const TIMEOUT_MS = 5000;

const request = get(ADDRESS, { timeout: TIMEOUT_MS }, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
request.on('error', (error) => {
  console.error(`healthcheck: ${error.message}`);
  process.exitCode = 1;
});
