import type { Dispatcher } from 'undici';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import type { Logger } from '../../process/logger.ts';

/** What the loader is told of the weights, or of the adapter: there the flags are `--adapter-uri` and so on. */
export interface SourceOptions {
  /** `--uri`: pvc://, hf:// or https://, see `crds/model-uri.ts`. */
  uri: string;
  /** `--to`: the folder that receives the files; for pvc:// where the claim is mounted. */
  to: string;
  /** `--revision`, hf only: commit, branch or tag; default `main`. */
  revision?: string | undefined;
  /** `--sha256` of the one model file; required for https. */
  sha256?: string | undefined;
  /** `--shared`: other loaders may fill the same folder at the same time. */
  shared: boolean;
  /**
   * Bearer token, from the environment only (CADRE_MODEL_TOKEN, CADRE_ADAPTER_TOKEN): arguments are visible to everybody on
   * the node.
   */
  token?: string | undefined;
}

/** What `cadre load` is told. */
export interface LoaderOptions extends SourceOptions {
  /** `--engine`: LlamaCpp wants one GGUF file, VLLM a folder with `config.json` and weights. */
  engine: EngineType;
  /** `--hub-endpoint`, e.g. `https://huggingface.co`. */
  hubEndpoint: string;
  /** A LoRA adapter of the model. */
  adapter?: SourceOptions | undefined;
  /** The file that receives the text of the prompt template (`--prompt-template-to`, CADRE_PROMPT_TEMPLATE). */
  promptTemplate?: { to: string; text: string } | undefined;
  /** Where the outcome is written for the kubelet; default `/dev/termination-log`. */
  terminationLog?: string | undefined;
  log: Logger;
  /** Ends the work early; what was downloaded stays and is resumed by the next loader. */
  signal: AbortSignal;
  /** What tests set apart. */
  tuning?: Partial<LoaderTuning> | undefined;
}

/** Times and effects that tests replace. */
export interface LoaderTuning {
  /** First pause before a failed request is repeated, in milliseconds; doubles up to 30 s. */
  retryDelayMs: number;
  /** Failures in a row, without progress between them, after which the loader gives up. */
  maxAttempts: number;
  /** A shared folder's lock is taken over when its owner showed no life for so long, in milliseconds. */
  leaseMs: number;
  /** How the network is reached. */
  dispatcher: Dispatcher;
  /** Free bytes where a folder is. */
  freeBytes: (folder: string) => Promise<number>;
}
