import { routeDataKey, routeSecretType } from '../../../crds/names.ts';
import { maxRouteBytes, type Route, routeSchema, routeVersion } from '../../../crds/route-table.ts';
import type { Change, KubeObject, ObjectKey } from '../../../kube/types.ts';
import type { Logger } from '../../../process/logger.ts';
import type { RouterMetrics } from '../metrics.ts';
import { buildTable, type DatedRoute, emptyTable, type RouteTable } from './table.ts';

/** core/v1 Secret, as far as it is read here. */
export interface RouteSecret extends KubeObject {
  type?: string;
  /** In base64. */
  data?: Record<string, string>;
}

export interface RouteSourceOptions {
  log: Logger;
  metrics: Pick<RouterMetrics, 'routes' | 'invalidRoutes'>;
  /** Called with each new table. */
  onTable?: (table: RouteTable) => void;
}

/**
 * Makes the route table of the route Secrets. A document that can't be read changes nothing: the last good form of that
 * route stays, and the log and a metric say so. Changes that arrive together make one new table.
 */
export class RouteSource {
  readonly #options: RouteSourceOptions;
  readonly #good = new Map<ObjectKey, DatedRoute>();
  readonly #invalid = new Set<ObjectKey>();
  #table = emptyTable;
  #stale = false;

  constructor(options: RouteSourceOptions) {
    this.#options = options;
  }

  /** The table of this moment. */
  get table(): RouteTable {
    return this.#table;
  }

  /** Takes a change of a Secret. The new table is there before the next request is read. */
  change({ key, after }: Change<RouteSecret>): void {
    if (after) this.#set(key, after);
    else {
      this.#good.delete(key);
      this.#invalid.delete(key);
    }
    if (this.#stale) return;
    this.#stale = true;
    setImmediate(() => this.flush());
  }

  /** Makes the new table now. */
  flush(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.replace([...this.#good.values()]);
    this.#options.metrics.invalidRoutes.set(this.#invalid.size);
  }

  /** Makes the table of these routes alone. */
  replace(routes: readonly DatedRoute[]): void {
    const { metrics, onTable } = this.#options;
    this.#table = buildTable(routes);
    metrics.routes.set(routes.length);
    onTable?.(this.#table);
  }

  #set(key: ObjectKey, secret: RouteSecret): void {
    const read = readRoute(secret);
    if ('route' in read) {
      const created = Math.floor(Date.parse(secret.metadata.creationTimestamp ?? '') / 1000);
      this.#good.set(key, { route: read.route, created: Number.isFinite(created) ? created : 0 });
      this.#invalid.delete(key);
      return;
    }
    this.#invalid.add(key);
    const kept = this.#good.has(key) ? 'its last good form is served' : 'it is not served';
    this.#options.log.error({ secret: key, problem: read.problem }, `a route can't be read: ${kept}`);
  }
}

/** Reads and checks the document of a route Secret. A problem never repeats what is in it: there are keys in it. */
export function readRoute(secret: RouteSecret): { route: Route } | { problem: string } {
  if (secret.type !== routeSecretType) return { problem: `type is ${secret.type ?? 'absent'}, not ${routeSecretType}` };
  const data = secret.data?.[routeDataKey];
  if (data === undefined) return { problem: `data.${routeDataKey} is absent` };
  if (data.length > (maxRouteBytes * 4) / 3 + 4)
    return { problem: `data.${routeDataKey} is larger than ${maxRouteBytes} bytes` };
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(data, 'base64').toString());
  } catch {
    return { problem: `data.${routeDataKey} is not JSON` };
  }
  const result = routeSchema.safeParse(document);
  if (!result.success) {
    const fields = result.error.issues.map(({ path, message }) => `${path.join('.') || '(document)'}: ${message}`);
    return { problem: `not a route of version ${routeVersion}: ${fields.slice(0, 5).join('; ')}` };
  }
  const broken = brokenReferences(result.data);
  return broken === undefined ? { route: result.data } : { problem: broken };
}

function brokenReferences({ backends, split, fallback }: Route): string | undefined {
  const names = new Set(backends.map(({ name }) => name));
  const unknown = [...split.map(({ backend }) => backend), ...fallback].find((name) => !names.has(name));
  if (unknown !== undefined) return `split or fallback name the backend "${unknown}", which there is none of`;
  for (const backend of backends) {
    if (backend.kind === 'Provider' && !URL.canParse(backend.baseUrl)) return `baseUrl of "${backend.name}" is no URL`;
  }
  return undefined;
}
