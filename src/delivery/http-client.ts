/** Sends one request of a webhook: to public addresses only, within its time, reading little of the answer. */

import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import {
  type AddressPolicy,
  AddressRefused,
  type AllowedPrivateAddresses,
  addressPolicy,
} from "./address.ts";
import { type EndpointLimits, Endpoints, endpointLimits } from "./endpoints.ts";

export interface WebhookRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** For everything: finding the address, connecting, sending, and reading the answer. */
  readonly timeoutMs: number;
}

export interface WebhookAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body. */
  readonly excerpt: string;
}

export interface WebhookClientOptions {
  /** Loopback, private and other addresses that are not public are refused unless they are named here. */
  readonly dangerouslyAllowPrivateAddresses?: AllowedPrivateAddresses;
  readonly limits?: Partial<EndpointLimits>;
}

const excerptBytesMax = 4_096;
/** Up to here the rest of an answer is read and dropped, so that the connection can be used again. */
const answerBytesMax = 131_072;

export class WebhookClient {
  readonly endpoints: Endpoints;
  /** Finds a host's addresses, and of those only the ones that may be connected to. */
  readonly lookup: LookupFunction;
  readonly #isAllowed: AddressPolicy;
  readonly #agent: Agent;

  /** @throws Error when an allowed network is none */
  constructor(options: WebhookClientOptions = {}) {
    const limits = { ...endpointLimits, ...options.limits };
    const isAllowed = addressPolicy(options.dangerouslyAllowPrivateAddresses ?? false);
    this.endpoints = new Endpoints(limits);
    this.lookup = guardedLookup(isAllowed);
    this.#isAllowed = isAllowed;
    this.#agent = new Agent({
      connect: guardedConnector(isAllowed),
      connections: limits.concurrencyMax,
      headersTimeout: 0, // the request's own time covers them
      bodyTimeout: 0,
    });
  }

  /**
   * Redirects are answers like any other.
   *
   * @throws AddressRefused; TimeoutError; whatever went wrong on the network; InvalidArgumentError of a header that
   *   cannot be sent
   */
  async send(request: WebhookRequest, stop: AbortSignal): Promise<WebhookAnswer> {
    const { url, method, headers, body, timeoutMs } = request;
    const timeout = AbortSignal.timeout(timeoutMs);
    const answer = await this.#agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: method as Dispatcher.HttpMethod,
      headers,
      body,
      signal: AbortSignal.any([timeout, stop]),
    });
    return { status: answer.statusCode, headers: answer.headers, excerpt: await beginningOf(answer.body) };
  }

  /** Looks at a literal address, which is connected to without being looked up. @throws AddressRefused */
  checkHost(host: string): void {
    if (isIP(host) !== 0 && !this.#isAllowed(host)) throw new AddressRefused(host, host);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

async function beginningOf(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (length < excerptBytesMax) chunks.push(chunk);
    length += chunk.length;
    if (length > answerBytesMax) break; // ends the connection
  }
  return Buffer.concat(chunks).subarray(0, excerptBytesMax).toString();
}

/** Looks at the very addresses that are connected to, so that a name cannot change its mind after it was judged. */
function guardedConnector(isAllowed: AddressPolicy): buildConnector.connector {
  const connect = buildConnector({ lookup: guardedLookup(isAllowed) });
  return (options, callback) => {
    // A literal address is connected to without being looked up.
    const address = options.hostname.replace(/^\[|\]$/g, "");
    if (isIP(address) !== 0 && !isAllowed(address)) callback(new AddressRefused(address, address), null);
    else connect(options, callback);
  };
}

function guardedLookup(isAllowed: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined)
        return callback(new AddressRefused(hostname, found[0]?.address ?? "no address"), "", 0);
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}
