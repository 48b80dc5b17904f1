import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { modelLabel } from '../../../../crds/names.ts';
import type { RoutingPolicy, SpecializedModel } from '../../../../crds/v1alpha1/kinds.ts';
import type { SpecializedModelStatus } from '../../../../crds/v1alpha1/specialized-model.ts';
import { ChildNameTaken } from '../../../../kube/applier.ts';
import { KubeError } from '../../../../kube/errors.ts';
import type { EventNote } from '../../../../kube/events.ts';
import { resources } from '../../../../kube/resources.ts';
import { ObjectStore } from '../../../../kube/store.ts';
import { type KubeObject, keyOf, type ObjectKey, type Requeue, type Resource } from '../../../../kube/types.ts';
import type {
  Deployment,
  NetworkPolicy,
  Node,
  Pod,
  PodDisruptionBudget,
  Secret,
  SecretView,
  Service,
  ServiceAccount,
  TemplateView,
} from '../../../context.ts';
import { ToldStatuses } from '../../../told-statuses.ts';
import type { ModelContext } from '../context.ts';
import { reconcileModel } from '../reconcile.ts';
import { testConfig } from './config.ts';

/** A cluster in memory, as far as the reconciler of one model meets it: what it applies is there, and it sees it at once. */
export class World {
  readonly caches = {
    models: new ObjectStore<SpecializedModel>(),
    policies: new ObjectStore<RoutingPolicy>(),
    deployments: new ObjectStore<Deployment>(),
    services: new ObjectStore<Service>(),
    serviceAccounts: new ObjectStore<ServiceAccount>(),
    podDisruptionBudgets: new ObjectStore<PodDisruptionBudget>(),
    networkPolicies: new ObjectStore<NetworkPolicy>(),
    pods: new ObjectStore<Pod>({ model: (pod) => [`${pod.metadata.namespace}/${pod.metadata.labels?.[modelLabel]}`] }),
    nodes: new ObjectStore<Node>(),
    routes: new ObjectStore<Secret>(),
  };
  readonly secrets = new Map<string, SecretView>();
  /** Prompt templates, by `namespace/configMap/key`. */
  readonly templates = new Map<string, TemplateView>();
  /** Objects of others: in the API, not in our caches. */
  readonly foreign = new Map<string, KubeObject>();
  readonly events: EventNote[] = [];
  /** Writes of any kind. */
  writes = 0;
  now = Date.parse('2026-01-01T00:01:00Z');
  /** What the API server answers to applies of a kind instead of taking them. */
  readonly refusals = new Map<string, KubeError>();
  readonly key: ObjectKey;
  readonly #told = new ToldStatuses<SpecializedModelStatus>();
  #version = 100;

  constructor(model: SpecializedModel) {
    this.key = keyOf(model);
    this.caches.models.set(model);
  }

  get model(): SpecializedModel | undefined {
    return this.caches.models.get(this.key);
  }

  get status(): SpecializedModelStatus | undefined {
    return this.model?.status;
  }

  condition(type: string) {
    const found = this.status?.conditions?.find((condition) => condition.type === type);
    return found && { status: found.status, reason: found.reason, message: found.message };
  }

  /** Kinds of the children that are there. */
  get children(): string[] {
    const { deployments, services, serviceAccounts, podDisruptionBudgets, networkPolicies } = this.caches;
    const stores = [deployments, services, serviceAccounts, podDisruptionBudgets, networkPolicies];
    return stores.flatMap((store) => [...store.list()].map(({ kind }) => kind));
  }

  /** The user changes the model. */
  change(model: SpecializedModel): void {
    const generation = (this.model?.metadata.generation ?? 0) + 1;
    const status = this.status;
    this.caches.models.set({
      ...model,
      metadata: { ...model.metadata, generation, resourceVersion: this.#next() },
      ...(status && { status }),
    });
  }

  has(...pods: Pod[]): void {
    for (const pod of pods) pod.metadata.resourceVersion = this.#next();
    this.caches.pods.replace(pods);
  }

  hasNode(name: string, over: Partial<Node>): void {
    this.caches.nodes.set({ apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name }, ...over });
  }

  reconcile(): Promise<Requeue> {
    return reconcileModel(this.key, this.#context());
  }

  #context(): ModelContext {
    return {
      caches: this.caches,
      secrets: {
        view: (namespace, name) => this.secrets.get(`${namespace}/${name}`) ?? { state: 'Missing' },
        forget() {},
      },
      templates: {
        view: (namespace, { name, key }) =>
          this.templates.get(`${namespace}/${name}/${key}`) ?? { state: 'Missing', what: 'ConfigMap' },
        forget() {},
      },
      applier: {
        apply: async (resource, desired, live) => this.#apply(resource, desired, live),
        applyStatus: async (_, live, status) => this.#applyStatus(live, status),
        prune: async (resource, leftovers) => {
          const { writes } = this;
          for (const object of leftovers) this.#delete(resource, object);
          return this.writes - writes;
        },
      },
      cluster: {
        get: async (resource, name, namespace) => {
          const found = this.#find(resource, `${namespace}/${name}`);
          if (!found) throw new KubeError('NotFound', `get ${resource.plural} ${namespace}/${name}: not found`);
          return found as never;
        },
      },
      events: { record: (_, event) => void this.events.push(event) },
      config: testConfig,
      clock: { now: () => this.now },
      log: pino({ level: 'silent' }),
      told: this.#told,
    };
  }

  #apply(resource: Resource, desired: KubeObject, live: KubeObject | undefined): 'Unchanged' | 'Applied' {
    const refusal = this.refusals.get(resource.kind);
    if (refusal) throw refusal;
    const key = keyOf(desired);
    if (this.foreign.has(`${resource.kind} ${key}`))
      throw new ChildNameTaken({ ...desired, metadata: { name: desired.metadata.name } });
    const bare = live && { ...live, metadata: { ...desired.metadata } };
    if (isDeepStrictEqual(bare, desired)) return 'Unchanged';
    this.writes++;
    const uid = live?.metadata.uid ?? `uid-of-${resource.kind}-${key}`;
    this.#storeOf(resource).set({ ...desired, metadata: { ...desired.metadata, uid, resourceVersion: this.#next() } });
    return 'Applied';
  }

  #applyStatus(live: KubeObject, status: object): 'Unchanged' | 'Applied' {
    const model = this.model;
    if (!model || model.metadata.uid !== live.metadata.uid) throw new KubeError('NotFound', 'the model is gone');
    this.writes++;
    const metadata = { ...model.metadata, resourceVersion: this.#next() };
    this.caches.models.set({ ...model, metadata, status });
    return 'Applied';
  }

  #delete(resource: Resource, object: KubeObject): void {
    const store = this.#storeOf(resource);
    if (store.get(keyOf(object))?.metadata.uid !== object.metadata.uid) return;
    this.writes++;
    store.delete(object);
  }

  #find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    return this.foreign.get(`${resource.kind} ${key}`) ?? this.#storeOf(resource).get(key);
  }

  #storeOf({ kind }: Resource): ObjectStore<KubeObject> {
    const name = Object.entries(resources).find(([, resource]) => resource.kind === kind)?.[0];
    return this.caches[name as keyof typeof this.caches] as unknown as ObjectStore<KubeObject>;
  }

  #next(): string {
    return String(++this.#version);
  }
}
