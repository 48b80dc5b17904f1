/** The names by which the parts of Cadre know each other's objects. One place for each; nothing else spells them. */

export const group = 'cadre.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;

/** On every child of a model and on its pods, Services and so EndpointSlices; the value is the model's name. */
export const modelLabel = `${group}/model`;
/** On every object that Cadre makes, with `managedByValue`. */
export const managedByLabel = 'app.kubernetes.io/managed-by';
export const managedByValue = 'cadre';
/** Annotation on either kind: `"true"` leaves everything as it is until it is gone. */
export const pausedAnnotation = `${group}/paused`;
/** Annotation on a Secret: the hosts, comma-separated, to which it may be sent: `host`, for every port, or `host:port`. */
export const hostsAnnotation = `${group}/hosts`;
/** Annotation on a pod template: what the pod was made from, so that a change of it rolls out. */
export const revisionAnnotation = `${group}/revision`;
/** Annotation on a pod template with a prompt template: `sha256:…` of its text. */
export const promptTemplateAnnotation = `${group}/prompt-template`;

/** Type of the Secret that carries one compiled route. */
export const routeSecretType = `${group}/route`;
/** Label on a route Secret, with the value `"true"`: what the router watches. */
export const routeLabel = `${group}/route`;
/** Annotations on a route Secret: which policy it was compiled from (`namespace/name`), and its UID. */
export const routePolicyAnnotation = `${group}/policy`;
export const routePolicyUidAnnotation = `${group}/policy-uid`;
/** The one key of a route Secret's data: a JSON document, see `route-table.ts`. */
export const routeDataKey = 'route.json';

/** Port names and numbers of a model pod. */
export const enginePort = 8000;
export const enginePortName = 'http';
export const sidecarPort = 8010;
export const sidecarPortName = 'sidecar';
/** Names of the containers of a model pod. */
export const engineContainer = 'engine';
export const sidecarContainer = 'sidecar';
export const loaderContainer = 'loader';
/** Where the sidecar waits, when it is called, until nothing is in flight: the engine's preStop hook calls it. */
export const drainPath = '/drain';
/** Header with the model's drain key: nobody else may make a pod unready. Lower-case, as Node gives it. */
export const drainKeyHeader = 'x-cadre-drain';
/** By which the sidecar gets that key. */
export const drainKeyVariable = 'CADRE_DRAIN_KEY';
/** By which the loader gets its tokens: arguments are visible to everybody on the node. */
export const tokenVariable = 'CADRE_MODEL_TOKEN';
export const adapterTokenVariable = 'CADRE_ADAPTER_TOKEN';
/** By which the loader gets the text of the prompt template, which it writes to a file. */
export const promptTemplateVariable = 'CADRE_PROMPT_TEMPLATE';
/** Where the weights are mounted, read-only, in the engine's container. */
export const modelMountPath = '/models';
/** The same for the adapter. */
export const adapterMountPath = '/adapter';
/** The same for the prompt template: a folder, and the file in it. */
export const promptTemplateMountPath = '/prompt-template';
export const promptTemplateFile = `${promptTemplateMountPath}/template.jinja`;
