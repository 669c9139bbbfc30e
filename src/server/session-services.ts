/** The parts of a server that its connections and sessions use. */
import type { ClientSession, ClientSessionServices, Visit } from './client-session.js';
import type { LoginService } from './login/login.js';
import type { Nodes } from './bucket-servers.js';
import type { Rights } from './session-rights.js';
import type { SharedClients } from './shared-clients.js';

export interface SessionServices extends ClientSessionServices {
  readonly baseDir: string;
  readonly catalogFile: string;
  /** The only client that is served; undefined serves all. */
  readonly onlyClient: string | undefined;
  readonly login: LoginService;
  readonly incarnation: Buffer;
  /** True if owners may copy their clients from other stores to this server. */
  readonly acceptCopies?: boolean;
  /** Rights that sessions have at most; undefined for no limit. */
  readonly restricted?: Rights | undefined;
  /** True to log every refusal with its stack trace, not only bugs. */
  readonly logExceptions?: boolean;
  /** Access to the bucket, if the store is one that others use too; otherwise undefined. */
  readonly shared?: SharedClients | undefined;
  /** The other servers of the bucket; undefined if there are none. */
  readonly nodes?: Nodes | undefined;
  /**
   * Registers the session that writes to a client. Ends a dead or parked session of the client first. Throws
   * CLIENT_BUSY if the client has another session.
   */
  claim(session: ClientSession): Promise<void>;
  /** Called after the session of a client has ended. */
  readonly left?: ((visit: Visit) => void) | undefined;
  /** Returns the backup session of a client; undefined if it has none. */
  sessionOf(client: string): ClientSession | undefined;
}
