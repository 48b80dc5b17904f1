import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { Digest } from '../digest.ts';
import type { HttpGet, HttpResponse } from '../http.ts';

/** One file as a source offers it. */
export interface RemoteFile {
  /** Relative to the model's folder, checked by `safePath`. */
  path: string;
  url: string;
  /** In bytes, when the source says so beforehand. */
  size?: number | undefined;
  digest: Digest;
}

/** Everything that makes up a model. */
export interface RemoteModel {
  files: RemoteFile[];
  /** hf: the commit that the revision stood for. */
  commit?: string;
}

/** A place that weights are downloaded from. */
export interface ModelSource {
  /** The field of the spec that says so, for messages. */
  field: SourceField;
  get: HttpGet;
  /** What to download. */
  list(): Promise<RemoteModel>;
  /** Why the source refuses a request, in words that say what to do. */
  refusal(response: HttpResponse, what: string): Error;
}
