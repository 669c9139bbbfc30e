/**
 * Loads Node's modules for the web when they are first used. An `import` of `node:http` reads each of its exports, and
 * some of them load a whole browser's WebSocket: 50 ms of each start (measured).
 */
export function loadHttp(): typeof import('node:http') {
  return process.getBuiltinModule('node:http');
}

export function loadHttps(): typeof import('node:https') {
  return process.getBuiltinModule('node:https');
}

export function loadTls(): typeof import('node:tls') {
  return process.getBuiltinModule('node:tls');
}

export function loadHttp2(): typeof import('node:http2') {
  return process.getBuiltinModule('node:http2');
}
