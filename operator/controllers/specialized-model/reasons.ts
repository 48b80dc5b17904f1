import type { Reason } from '../../conditions.ts';

/**
 * What keeps a model from being as it should, the worst first: of several, the status names the first. The documentation
 * (docs/reference/conditions.md) is made from this table.
 */
export const problemReasons = {
  InvalidSpec: {
    refused: true,
    stalled: true,
    description: 'The spec breaks a rule of the schema.',
    cure: 'Correct the field that the message names.',
  },
  InvalidArgs: {
    refused: true,
    stalled: true,
    description:
      'spec.engine.args or spec.engine.env has what the operator sets itself, or what would break its promises.',
    cure: 'Remove it; the message names the field to set instead.',
  },
  UnknownGpuProfile: {
    refused: true,
    stalled: true,
    description: "spec.gpu.profile is not in the operator's configuration.",
    cure: 'Use one of the profiles that the message lists, or have it added to gpuProfiles in the values of the chart.',
  },
  SecretNotShared: {
    refused: true,
    stalled: true,
    description:
      'The Secret of spec.model.credentials, or of those of the adapter, does not say that it may be sent to the host of the uri beside it.',
    cure: 'Annotate the Secret with cadre.dev/hosts: HOST, or HOST:PORT for one port only; commas separate several.',
  },
  SecretNotFound: {
    refused: true,
    stalled: false,
    description: 'The Secret of spec.model.credentials, or of those of the adapter, does not exist, or lacks the key.',
    cure: 'Create it in the namespace of the model; it is noticed within seconds.',
  },
  SecretUnreadable: {
    refused: true,
    stalled: false,
    description: 'The Secret of spec.model.credentials, or of those of the adapter, could not be read.',
    cure: 'Allow the operator to get Secrets in this namespace; the message has the words of the API server.',
  },
  InvalidPromptTemplate: {
    refused: true,
    stalled: true,
    description: 'The text of spec.model.promptTemplate cannot be one: it is empty, no text, or longer than 64 KiB.',
    cure: 'Correct the ConfigMap; it is noticed within half a minute.',
  },
  PromptTemplateNotFound: {
    refused: true,
    stalled: false,
    description: 'The ConfigMap of spec.model.promptTemplate does not exist, or lacks the key.',
    cure: 'Create it in the namespace of the model; it is noticed within seconds.',
  },
  PromptTemplateUnreadable: {
    refused: true,
    stalled: false,
    description: 'The ConfigMap of spec.model.promptTemplate could not be read.',
    cure: 'Allow the operator to get ConfigMaps in this namespace; the message has the words of the API server.',
  },
  ChildNameTaken: {
    refused: false,
    stalled: true,
    description: 'An object that the model needs exists already, and is not of this model. It is left as it is.',
    cure: 'Rename the model, or delete the object; it is looked at again every 30 seconds.',
  },
  ChildRefused: {
    refused: false,
    stalled: true,
    description: 'The API server refuses an object of the model, by validation, admission or quota.',
    cure: 'The message has its words. It is tried again every minute.',
  },
  QuotaExceeded: {
    refused: false,
    stalled: true,
    description: 'A ResourceQuota of the namespace leaves no room for the pods.',
    cure: 'Lower spec.replicas or spec.resources, or raise the quota.',
  },
  PodsRefused: {
    refused: false,
    stalled: true,
    description: 'The API server refuses the pods, for instance by Pod Security or another admission policy.',
    cure: 'The message has its words.',
  },
  ChecksumMismatch: {
    refused: false,
    stalled: true,
    description: 'The weights, or the adapter, are not what their sha256 or the hub promises.',
    cure: 'Correct the sha256 that the message names, or find out who changed the file.',
  },
  ModelNotFound: {
    refused: false,
    stalled: true,
    description: 'There is nothing at spec.model.uri, or at spec.model.adapter.uri.',
    cure: 'Correct the uri or the revision that the message names.',
  },
  NotAGguf: {
    refused: false,
    stalled: true,
    description: 'The file of the weights, or of the adapter, is not a GGUF file, which is what LlamaCpp serves.',
    cure: 'Convert the model, or set spec.engine.type: VLLM.',
  },
  InvalidModel: {
    refused: false,
    stalled: true,
    description: 'What is at spec.model.uri is not a model that the engine can serve.',
    cure: 'The message says what is missing.',
  },
  AdapterMismatch: {
    refused: false,
    stalled: true,
    description: 'The adapter was trained for another model than the one at spec.model.uri.',
    cure: 'Correct spec.model.adapter.uri or spec.model.uri; the message says how the two differ.',
  },
  InvalidAdapter: {
    refused: false,
    stalled: true,
    description:
      'What is at spec.model.adapter.uri is not a LoRA adapter that the engine can apply, or only a part of one.',
    cure: 'The message says what is wrong. Where it is a rank above 64 on VLLM, set --max-lora-rank in spec.engine.args.',
  },
  PromptTemplateRefused: {
    refused: false,
    stalled: true,
    description: 'The engine does not take the template of spec.model.promptTemplate.',
    cure: "Correct the Jinja text in the ConfigMap; the message has the engine's words.",
  },
  ModelDownloadFailed: {
    refused: false,
    stalled: true,
    description:
      'The weights, or the adapter, could not be brought into the pod. It is tried again, and resumed, with back-off.',
    cure: 'The message says what failed: the network, the token, or room on the disk.',
  },
  ImagePullFailed: {
    refused: false,
    stalled: true,
    description: 'The node cannot pull an image. It is tried again with back-off.',
    cure: 'Correct spec.engine.image, or give the node access to the registry.',
  },
  CannotStart: {
    refused: false,
    stalled: true,
    description: 'The node cannot start a container.',
    cure: 'The message has the words of the kubelet.',
  },
  OutOfMemory: {
    refused: false,
    stalled: true,
    description: 'A container was killed because it used more memory than its limit.',
    cure: 'Raise spec.resources.limits.memory, or lower spec.engine.maxModelLength or maxConcurrency.',
  },
  CrashLooping: {
    refused: false,
    stalled: true,
    description: 'A container exits with an error whenever it is started.',
    cure: 'The message has its last words; kubectl logs has the rest.',
  },
  EngineUnhealthy: {
    refused: false,
    stalled: true,
    description: 'The engine ran and does not answer any more, or was restarted because it did not.',
    cure: 'See its log; a GPU or an engine process may have died.',
  },
  NodeNotReady: {
    refused: false,
    stalled: false,
    description: 'The node of a pod is not ready. Kubernetes moves the pod after some minutes.',
    cure: 'See the node.',
  },
  UpdateBlocked: {
    refused: false,
    stalled: false,
    description: 'An update waits: no node has room for a new pod beside the old ones, which keep serving.',
    cure: 'Set spec.updateStrategy to maxSurge: 0, maxUnavailable: 1, or add a node.',
  },
  Unschedulable: {
    refused: false,
    stalled: false,
    description: 'No node takes a pod.',
    cure: "The message has the scheduler's words and what the pod needs: add a node, or ask for less.",
  },
  Queued: {
    refused: false,
    stalled: false,
    description: 'A pod waits for its scheduling gates, for instance for its turn in a queue of Kueue.',
    cure: 'None, unless the queue stands still.',
  },
} as const satisfies Record<string, Reason>;

/** Reasons of conditions while nothing is wrong. */
export const normalReasons = {
  Accepted: 'The spec is valid.',
  Serving: 'At least one replica answers.',
  ScaledToZero: 'No replicas are asked for, and there are none: Ready is True, as nothing is missing.',
  Progressing: 'The objects are being made; there are no pods yet, or none that a scheduler has looked at.',
  Loading: 'Pods pull images, load weights or warm up.',
  RollingOut: 'Pods of an older template are being replaced.',
  ScalingDown: 'There are more pods than replicas.',
  Paused: 'The annotation cadre.dev/paused is "true": nothing is changed until it is gone.',
} as const;

export type ProblemReason = keyof typeof problemReasons;
export type NormalReason = keyof typeof normalReasons;

/** One thing that is wrong with a model. */
export interface Problem {
  reason: ProblemReason;
  /** What is wrong and what to do. Without names of pods and without times, so that it rests when the world rests. */
  message: string;
}

const order = Object.keys(problemReasons) as ProblemReason[];

/** The worst of several; among equals the first by its text, so that it is always the same one. */
export function worst(problems: readonly Problem[]): Problem | undefined {
  const rank = ({ reason: name }: Problem) => order.indexOf(name);
  return [...problems].sort((a, b) => rank(a) - rank(b) || (a.message < b.message ? -1 : 1))[0];
}
