/** The address of a bucket: endpoint, region, and the place of the bucket's name in a URL. */
import { isIP } from 'node:net';
import { type BucketPlace, configInvalid } from '../../config/index.js';
import type { AwsProfile } from './aws-files.js';
import type { Environment } from './credentials.js';

type Addressing = 'auto' | 'path' | 'host';

/** Settings of a bucket. An undefined setting is taken from the environment or the profile of other S3 tools. */
export interface BucketSettings {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /**
   * `path`: the bucket's name is in the path of a URL. `host`: it is in the host name. `auto` (the default) means
   * `host` for Amazon's own endpoint if the name has no dot, and otherwise `path`.
   */
  readonly addressing?: Addressing;
  /** PEM certificates of authorities. They are used instead of the authorities that this machine trusts. */
  readonly authorities?: Buffer | undefined;
}

export interface Endpoint {
  /** Protocol, host and port to connect to. */
  readonly url: URL;
  readonly region: string;
  /** Path that precedes a key in a URL, with a slash at its end. */
  readonly basePath: string;
  readonly authorities: Buffer | undefined;
}

const DEFAULT_REGION = 'us-east-1';
const REGION = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/**
 * Returns the endpoint of a bucket. Throws CONFIG_INVALID if the region is no name, or the endpoint no URL of a host.
 */
export function endpointOf(
  { bucket }: BucketPlace,
  settings: BucketSettings,
  environment: Environment,
  profile: AwsProfile,
): Endpoint {
  const region = firstOf(
    settings.region,
    environment['AWS_REGION'],
    environment['AWS_DEFAULT_REGION'],
    profile.region,
    DEFAULT_REGION,
  );
  if (!REGION.test(region)) throw configInvalid('the region must be a name such as eu-central-1');
  const own = firstOf(
    settings.endpoint,
    environment['AWS_ENDPOINT_URL_S3'],
    environment['AWS_ENDPOINT_URL'],
    profile.endpoint,
    '',
  );
  const url = parseEndpoint(own === '' ? amazonUrl(region) : own);
  const { addressing = 'auto', authorities } = settings;
  // A certificate for *.s3.… does not cover a name with a dot.
  const isHost =
    addressing === 'host' || (addressing === 'auto' && own === '' && !bucket.includes('.'));
  if (!isHost) return { url, region, basePath: `/${bucket}/`, authorities };
  const hostUrl = `${url.protocol}//${bucket}.${url.host}/`;
  // No name can precede an address: `bucket.127.0.0.1` is no host, and `bucket.[::1]` no URL.
  if (isIP(url.hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || !URL.canParse(hostUrl)) {
    throw configInvalid(
      `the name of the bucket cannot precede ${url.hostname}: use --addressing path, or an endpoint with a host name`,
    );
  }
  return { url: new URL(hostUrl), region, basePath: '/', authorities };
}

function amazonUrl(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

/**
 * Parses the URL of an endpoint. Throws CONFIG_INVALID for any other text, which the error does not show, since it may
 * contain a password.
 */
function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === '';
  if (isPlain) return url;
  throw configInvalid('the endpoint must be a URL of the form https://HOST[:PORT]');
}

function firstOf(...texts: readonly (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== '') ?? '';
}
