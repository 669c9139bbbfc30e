import { innerSockets } from '../../src/transport/index.js';
import { messageSocketSuite } from './message-socket.suite.js';

messageSocketSuite(async (t) => {
  const sockets = innerSockets();
  t.teardown(() => sockets.forEach((socket) => socket.terminate()));
  return sockets;
});
