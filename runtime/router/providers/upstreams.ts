import { type buildConnector, type Dispatcher, Pool } from 'undici';
import { Health } from './health.ts';

/** How long an engine may take to accept a connection, in ms: it is near, or not there. */
const engineConnectTimeoutMs = 2_000;
/** One address that requests are sent to, its connections and what is known of it. */
export class Upstream {
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  /** Requests that it is working on for us. */
  inFlight = 0;
  /** Whether it is to be asked. */
  readonly health = new Health(Date.now());

  constructor(origin: string, dispatcher: Dispatcher) {
    this.origin = origin;
    this.dispatcher = dispatcher;
  }
}

/** All upstreams, one for each origin, whoever sends to it. */
export class Upstreams {
  readonly #providerConnector: buildConnector.connector;
  readonly #engines = new Map<string, Upstream>();
  readonly #providers = new Map<string, Upstream>();

  constructor(providerConnector: buildConnector.connector) {
    this.#providerConnector = providerConnector;
  }

  /** An engine in the cluster. */
  engine(origin: string): Upstream {
    return getOrAdd(this.#engines, origin, () => {
      return new Pool(origin, { ...poolOptions, connect: { timeout: engineConnectTimeoutMs } });
    });
  }

  /** A provider, called at public addresses only. */
  provider(origin: string): Upstream {
    return getOrAdd(
      this.#providers,
      origin,
      () => new Pool(origin, { ...poolOptions, connect: this.#providerConnector }),
    );
  }

  /** Forgets engines that are gone. What they still answer comes to its end. */
  retainEngines(origins: ReadonlySet<string>): void {
    retain(this.#engines, origins);
  }

  retainProviders(origins: ReadonlySet<string>): void {
    retain(this.#providers, origins);
  }

  /** Breaks every connection off. */
  async destroy(): Promise<void> {
    const all = [...this.#engines.values(), ...this.#providers.values()];
    await Promise.all(all.map(({ dispatcher }) => dispatcher.destroy()));
  }
}

const poolOptions: Pool.Options = {
  allowH2: false,
  // One request a connection: a long answer must not stand before a short one.
  pipelining: 1,
  // Both engines close a connection that idles for 5 s: ours has to be the first to let go.
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 30_000,
  // A route's own deadlines are kept by `Call`.
  headersTimeout: 0,
  bodyTimeout: 0,
};

function getOrAdd(map: Map<string, Upstream>, origin: string, make: () => Dispatcher): Upstream {
  let upstream = map.get(origin);
  if (!upstream) map.set(origin, (upstream = new Upstream(origin, make())));
  return upstream;
}

function retain(map: Map<string, Upstream>, origins: ReadonlySet<string>): void {
  for (const [origin, { dispatcher }] of map) {
    if (origins.has(origin)) continue;
    map.delete(origin);
    // Ends when the last answer does; a pool that is closed can't fail to close.
    dispatcher.close(() => undefined);
  }
}
