/** Resets a connection without a regular close. */
import type { Socket } from 'node:net';

/**
 * Resets a connection. If its shutdown has begun, only closes it. A reset during the shutdown fails in libuv (EINVAL of
 * `uv_tcp_close_reset`). Node then treats a handle as closed that never closes. A worker thread with such a handle
 * cannot end, and loops forever in its clean-up (seen with Node 20.20).
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
