import { createHash } from 'node:crypto';
import type { V1Volume } from '@kubernetes/client-node';
import { type ModelUri, parseModelUri } from '../../crds/model-uri.ts';
import { adapterMountPath, modelMountPath } from '../../crds/names.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';

/** Where a pod's weights, or its adapter, are and come from. */
export interface Place {
  volume: Json<V1Volume>;
  mountPath: string;
  /** The folder that the loader fills, or in which it looks. */
  folder: string;
  /** The file or folder that the engine opens. */
  path: string;
  /** Whether the loader writes into the volume. The engine never does. */
  loaderWrites: boolean;
  /** Other pods' loaders may fill the same folder at the same time. */
  shared: boolean;
}

/** The places of one pod. */
export interface Places {
  model: Place;
  adapter?: Place;
}

type Source = Pick<SpecializedModelSpec['model'], 'uri' | 'revision' | 'sha256' | 'cache'>;

/** Plans what a pod loads: each from a claim that has it, into a claim that caches it, or onto the pod's own disk. */
export function places({ adapter, ...model }: SpecializedModelSpec['model']): Places {
  const { cache } = model;
  const own = place(model, 'models', modelMountPath);
  if (!adapter) return { model: own };
  const beside = place({ ...adapter, cache }, 'adapter', adapterMountPath);
  // One volume is mounted in two places where both are in one claim.
  const isSame = claimOf(beside) !== undefined && claimOf(beside) === claimOf(own);
  return { model: own, adapter: isSame ? { ...beside, volume: own.volume } : beside };
}

function place({ uri, revision, sha256, cache }: Source, name: string, mountPath: string): Place {
  const source = parseModelUri(uri);
  if (source.scheme === 'pvc') {
    return {
      volume: { name, persistentVolumeClaim: { claimName: source.claim, readOnly: true } },
      mountPath,
      folder: mountPath,
      path: `${mountPath}/${source.path}`,
      loaderWrites: false,
      shared: false,
    };
  }
  const folder = cache ? `${mountPath}/${cacheFolder(uri, revision, sha256)}` : mountPath;
  return {
    volume: { name, ...(cache ? { persistentVolumeClaim: { claimName: cache.claimName } } : { emptyDir: {} }) },
    mountPath,
    folder,
    path: [folder, fileOf(source)].filter(Boolean).join('/'),
    loaderWrites: true,
    shared: cache !== undefined,
  };
}

function claimOf({ volume }: Place): string | undefined {
  return volume.persistentVolumeClaim?.claimName;
}

/** The path under which the loader stores the one file of a source; undefined for a whole repository. */
function fileOf(source: Exclude<ModelUri, { scheme: 'pvc' }>): string | undefined {
  return source.scheme === 'hf' ? source.file : source.fileName;
}

/** Content that may differ never shares a folder. */
function cacheFolder(uri: string, revision = '', sha256 = ''): string {
  return createHash('sha256').update([uri, revision, sha256].join('\n')).digest('hex').slice(0, 32);
}
