import type { Route, RouteBackend } from '../../../crds/route-table.ts';
import type { EscalationReason } from '../../../crds/v1alpha1/escalation.ts';
import type { Priority } from '../../../crds/v1alpha1/queue.ts';
import { type LabelSet, labelSet } from '../confidence/label-set.ts';
import { type OutputSchema, outputSchema } from '../confidence/output-schema.ts';
import type { CallableBackend, Dialect } from '../providers/dialect.ts';
import { dialectOf } from '../providers/dialects.ts';

/** One backend of a route, with what a request needs of it worked out beforehand. */
export interface LiveBackend {
  /** In the policy. */
  name: string;
  backend: RouteBackend;
  /** What its tokens cost is known. */
  isPriced: boolean;
  /** How it is called; undefined where it can't be. */
  speaking: Speaking | undefined;
}

/** What it takes to call a backend. */
export interface Speaking {
  backend: CallableBackend;
  dialect: Dialect;
  /** The name by which the upstream knows the model, in JSON. */
  servedModel: string;
  /** Of every request to it, names and values in turn. */
  headers: readonly string[];
  /** Log-probabilities are asked for: until the upstream has refused a request for no other reason, in this table. */
  givesLogprobs: boolean;
  /** It was said which labels' tokens the model lacks, if it lacks any. */
  tokensAreChecked: boolean;
  /** What `x-cadre-model` says: the SpecializedModel's name, or the provider's model. */
  modelName: string;
}

/** A route as the pipeline reads it. */
export interface LiveRoute {
  route: Route;
  /** `<namespace>/<policy>`. */
  longName: string;
  /** Seconds since the epoch: when the route came to be, for `GET /v1/models`. */
  created: number;
  backends: readonly LiveBackend[];
  split: readonly Share[];
  rules: readonly LiveRule[];
  /** In this order, when the chosen one can't answer. */
  fallback: readonly LiveBackend[];
  labels: LabelSet | undefined;
  schema: OutputSchema | undefined;
  escalation: LiveEscalation | undefined;
}

/** A backend's part of a weighted choice. */
export interface Share {
  live: LiveBackend;
  weight: number;
}

/** A split of its own for the requests that it matches. */
export interface LiveRule {
  name: string;
  when: NonNullable<Route['rules']>[number]['when'];
  split: readonly Share[];
}

/** When another backend is asked because an answer is not trusted. */
export interface LiveEscalation {
  /** From cheap to dear. `threshold`: the confidence that an answer must have, or this step is taken. */
  steps: readonly { to: LiveBackend; threshold: number | undefined }[];
  when: ReadonlySet<EscalationReason>;
  unknownConfidence: 'Escalate' | 'Accept';
  /** Of all requests, in (0, 1]. */
  maxRate: number | undefined;
  streaming: 'Buffer' | 'Prefix' | 'PassThrough';
}

/** What one client key opens. */
export interface Principal {
  /** Whose key it is, as the first route (by name) that knows it calls it; undefined: no key. */
  name: string | undefined;
  /** SHA-256 of the key, in hexadecimal. */
  digest: string | undefined;
  /** By every name under which it may be called. */
  routes: ReadonlyMap<string, LiveRoute>;
  /** By `<namespace>/<policy>`: who is let in first from its queue; Normal where absent. */
  priorities?: ReadonlyMap<string, Priority>;
}

/** All routes at one moment. Never changed: a new one takes its place, and requests in flight keep theirs. */
export interface RouteTable {
  /** By the SHA-256 of a client's key, in hexadecimal. Includes the open routes. */
  byKey: ReadonlyMap<string, Principal>;
  /** What one may call without a key. */
  open: Principal;
  routes: readonly LiveRoute[];
}

/** A route and when it came to be (seconds since the epoch). */
export interface DatedRoute {
  route: Route;
  created: number;
}

export const emptyTable: RouteTable = { byKey: new Map(), open: nobody(new Map()), routes: [] };

interface KeyedPrincipal {
  name: string;
  digest: string;
  routes: Map<string, LiveRoute>;
  priorities: Map<string, Priority>;
}

/**
 * The index of all routes. Where one key opens two routes of one short name, the operator says which has it, and reports
 * the conflict; would it not, the first by `<namespace>/<policy>` has. Each answers to its long name.
 */
export function buildTable(dated: Iterable<DatedRoute>): RouteTable {
  const routes = [...dated].map(liveRoute).sort((a, b) => (a.longName < b.longName ? -1 : 1));
  const open = new Map<string, LiveRoute>();
  const keyed = new Map<string, KeyedPrincipal>();
  for (const live of routes) {
    const { access, model } = live.route;
    if (access.mode === 'Open') {
      addNames(open, live, access.shortName ? model : undefined);
      continue;
    }
    for (const { name, sha256, shortName, priority } of access.keys) {
      const digest = sha256.toLowerCase();
      let principal = keyed.get(digest);
      if (!principal) keyed.set(digest, (principal = { name, digest, routes: new Map(), priorities: new Map() }));
      if (priority) principal.priorities.set(live.longName, priority);
      addNames(principal.routes, live, shortName === false ? undefined : model);
    }
  }
  for (const { routes: own } of keyed.values())
    for (const [name, live] of open) if (!own.has(name)) own.set(name, live);
  return { byKey: keyed, open: nobody(open), routes };
}

/** Who shows no key that is known. */
function nobody(routes: ReadonlyMap<string, LiveRoute>): Principal {
  return { name: undefined, digest: undefined, routes };
}

/** The names to show to a client: the short one of each route that has one, else the long one. */
export function publicNames(principal: Principal): { name: string; live: LiveRoute }[] {
  const shown = new Map<LiveRoute, string>();
  for (const [name, live] of principal.routes) if (name !== live.longName || !shown.has(live)) shown.set(live, name);
  return [...shown].map(([live, name]) => ({ name, live })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function addNames(names: Map<string, LiveRoute>, live: LiveRoute, short: string | undefined): void {
  names.set(live.longName, live);
  if (short !== undefined && !names.has(short)) names.set(short, live);
}

function liveRoute({ route, created }: DatedRoute): LiveRoute {
  const backends = route.backends.map((backend): LiveBackend => {
    return {
      name: backend.name,
      backend,
      isPriced: backend.kind !== 'Unavailable' && backend.price !== undefined,
      speaking: speakingTo(backend),
    };
  });
  const schema = outputSchema(route.output);
  const byName = new Map(backends.map((live) => [live.name, live]));
  return {
    route,
    longName: `${route.policy.namespace}/${route.policy.name}`,
    created,
    backends,
    split: sharesOf(route.split, byName),
    rules: (route.rules ?? []).map(({ name, when, split }) => ({ name, when, split: sharesOf(split, byName) })),
    fallback: route.fallback.flatMap((name) => byName.get(name) ?? []),
    labels: labelSet(route.output),
    schema,
    escalation: liveEscalation(route.escalation, byName) ?? (schema && onlyJudged),
  };
}

/** Of a route whose answers have to be documents, and that has nobody to ask instead. */
const onlyJudged: LiveEscalation = {
  steps: [],
  when: new Set(),
  unknownConfidence: 'Accept',
  maxRate: undefined,
  streaming: 'Buffer',
};

function sharesOf(split: Route['split'], byName: ReadonlyMap<string, LiveBackend>): Share[] {
  return split.flatMap(({ backend, weight }) => {
    const live = byName.get(backend);
    return live ? { live, weight } : [];
  });
}

function liveEscalation(
  escalation: Route['escalation'],
  byName: ReadonlyMap<string, LiveBackend>,
): LiveEscalation | undefined {
  if (!escalation) return undefined;
  const { steps, when, unknownConfidence, maxRate, streaming = 'Buffer' } = escalation;
  return {
    steps: steps.flatMap(({ to, threshold }) => {
      const live = byName.get(to);
      return live ? { to: live, threshold } : [];
    }),
    when: new Set(when),
    unknownConfidence,
    maxRate,
    streaming,
  };
}

function speakingTo(backend: RouteBackend): Speaking | undefined {
  if (backend.kind === 'Unavailable') return undefined;
  const dialect = dialectOf(backend);
  return {
    backend,
    dialect,
    headers: dialect.headers(backend),
    servedModel: JSON.stringify(backend.servedModel),
    givesLogprobs: dialect.givesLogprobs,
    tokensAreChecked: false,
    modelName: backend.kind === 'Model' ? backend.model : backend.servedModel,
  };
}
