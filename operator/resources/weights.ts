import { createHash } from 'node:crypto';
import type { V1Volume } from '@kubernetes/client-node';
import { type ModelUri, parseModelUri } from '../../crds/model-uri.ts';
import { modelMountPath } from '../../crds/names.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';

/** Where a pod's weights are and come from. */
export interface Weights {
  /** The volume's source; it is mounted at `modelMountPath`. */
  volume: Omit<Json<V1Volume>, 'name'>;
  /** The folder that the loader fills, or in which it looks. */
  folder: string;
  /** The file or folder that the engine opens. */
  modelPath: string;
  /** Whether the loader writes into the volume. The engine never does. */
  loaderWrites: boolean;
  /** Other pods' loaders may fill the same folder at the same time. */
  shared: boolean;
}

/** Plans a pod's weights: a claim that has them, a claim that caches them, or the pod's own disk. */
export function weights({ uri, revision, sha256, cache }: SpecializedModelSpec['model']): Weights {
  const source = parseModelUri(uri);
  if (source.scheme === 'pvc') {
    return {
      volume: { persistentVolumeClaim: { claimName: source.claim, readOnly: true } },
      folder: modelMountPath,
      modelPath: `${modelMountPath}/${source.path}`,
      loaderWrites: false,
      shared: false,
    };
  }
  const folder = cache ? `${modelMountPath}/${cacheFolder(uri, revision, sha256)}` : modelMountPath;
  return {
    volume: cache ? { persistentVolumeClaim: { claimName: cache.claimName } } : { emptyDir: {} },
    folder,
    modelPath: [folder, fileOf(source)].filter(Boolean).join('/'),
    loaderWrites: true,
    shared: cache !== undefined,
  };
}

/** The path under which the loader stores the one file of a source; undefined for a whole repository. */
function fileOf(source: Exclude<ModelUri, { scheme: 'pvc' }>): string | undefined {
  return source.scheme === 'hf' ? source.file : source.fileName;
}

/** Content that may differ never shares a folder. */
function cacheFolder(uri: string, revision = '', sha256 = ''): string {
  return createHash('sha256').update([uri, revision, sha256].join('\n')).digest('hex').slice(0, 32);
}
