/** Cutting a connection without a farewell. */
import type { Socket } from 'node:net';

/**
 * Resets a connection; one whose end is being said is only closed. A reset while the shutdown is under way fails in
 * libuv (EINVAL of `uv_tcp_close_reset`), and Node then takes a handle for closed that never closes: a worker thread
 * that has one cannot end, and spins in its clean-up for ever (seen with Node 20.20).
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
