import type { V1Container, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { EngineType, SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';
import type { FlagRules } from './refused-flags.ts';

/** What an engine is asked to serve. */
export interface ServeRequest {
  /** The model name that it answers to. */
  servedName: string;
  /** The GGUF file or the folder with the weights, in the container. */
  modelPath: string;
  /** The same for the adapter that is applied to them, when there is one. */
  adapterPath?: string | undefined;
  /** The file with the chat template that replaces the model's own, when there is one. */
  promptTemplatePath?: string | undefined;
  spec: SpecializedModelSpec;
}

/** What sets one engine's container apart from another's; ports, security and resources are the same for all. */
export interface EngineContainer {
  /** Explicit, as images differ in their entry points. */
  command: string[];
  args: string[];
  /** The user's variables come after these and win. Those that must not be changed are in `rules`. */
  env: { name: string; value: string }[];
  startupProbe: NonNullable<Json<V1Container>['startupProbe']>;
  livenessProbe: NonNullable<Json<V1Container>['livenessProbe']>;
  volumes: Json<V1Volume>[];
  volumeMounts: Json<V1VolumeMount>[];
}

/** A server that runs models. Another one is a file beside this and a line in `registry.ts`. */
export interface Engine {
  readonly type: EngineType;
  container(request: ServeRequest): EngineContainer;
  /** Which of the user's arguments and variables it must not get. */
  readonly rules: FlagRules;
  /** Seconds from SIGTERM to exit once nothing is in flight, or what is left may be cut. */
  readonly shutdownSeconds: number;
}
