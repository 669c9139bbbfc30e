/** The transport below a connection: a WebSocket, or one end of a link within this process. */

/** Events at one end of a link. None follows `closed`. */
export interface SocketEvents {
  /** A message has arrived. Its memory belongs to the receiver. `isText` is true if it is no binary one. */
  readonly message: (data: Buffer, isText: boolean) => void;
  readonly ping: () => void;
  readonly pong: (data: Buffer) => void;
  /** The link has failed; `closed` follows. */
  readonly failed: (error: Error) => void;
  /** The link is over, with a close code of WebSockets (RFC 6455, section 7.4). */
  readonly closed: (code: number) => void;
}

export interface MessageSocket {
  /** True until one of the ends begins to close the link. */
  readonly isOpen: boolean;
  /** Bytes accepted for sending that are not yet on their way. */
  readonly bufferedBytes: number;
  /** Sets the receiver of all events. Call it once, before the caller returns to the event loop. */
  listen(events: SocketEvents): void;
  /** Sends one message, which consists of these parts, without copying them. They must not change. */
  send(...parts: readonly Uint8Array[]): void;
  /**
   * Sends a message that nobody uses any more: its memory is freed when it is on its way, or becomes that of the receiver in
   * this process.
   */
  sendLast(message: Uint8Array): void;
  ping(data: Buffer | string): void;
  /** Stops receiving. At most the messages of one read arrive after it. While it lasts, no end of the link is noticed either. */
  pause(): void;
  resume(): void;
  /** Closes the link in order, after all that was sent. */
  close(code: number): void;
  /** Cuts the link at once. */
  terminate(): void;
}
