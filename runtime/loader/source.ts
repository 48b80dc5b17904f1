import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidValueError } from '../../crds/invalid-value.ts';
import { type ModelUri, parseModelUri } from '../../crds/model-uri.ts';
import type { SourceField } from '../../crds/v1alpha1/model-source.ts';
import { httpGet } from './http.ts';
import type { LoaderOptions, LoaderTuning, SourceOptions } from './options.ts';
import { placeRemote } from './place.ts';
import { loadError } from './report.ts';
import { httpsSource } from './sources/https.ts';
import { hubSource } from './sources/hub.ts';
import type { ModelSource } from './sources/model-source.ts';
import { findInClaim } from './sources/pvc.ts';

/** What was brought into place. */
export interface Placed {
  /** The file or folder that the engine opens. */
  path: string;
  bytes: number;
  /** `sha256:…` of the one file, where it is known. */
  digest?: string;
}

type Common = Pick<LoaderOptions, 'engine' | 'hubEndpoint' | 'log' | 'signal'> & { tuning: LoaderTuning };

/** Brings what one field of the spec names into place, and has it verified: `verify` is given where it is. */
export async function placeSource(
  field: SourceField,
  source: SourceOptions,
  common: Common,
  verify: (path: string) => Promise<void>,
): Promise<Placed> {
  const uri = parse(field, source, common.engine);
  const { engine, log, signal, tuning } = common;
  const sha256 = source.sha256 || undefined;
  if (uri.scheme === 'pvc') {
    const found = await findInClaim(field, uri, source.to, sha256);
    await verify(found.path);
    return found;
  }
  if (sha256 !== undefined && uri.scheme === 'hf' && uri.file === undefined)
    throw loadError(
      'InvalidSource',
      `${field}.sha256 is for one file, and ${field}.uri names a whole repository: leave it out`,
    );
  const retry = { log, signal, retryDelayMs: tuning.retryDelayMs, maxAttempts: tuning.maxAttempts };
  const path = uri.scheme === 'hf' && uri.file === undefined ? source.to : join(source.to, fileName(uri));
  await mkdir(source.to, { recursive: true });
  const placed = await placeRemote({
    request: {
      uri: source.uri,
      engine,
      ...(uri.scheme === 'hf' ? { revision: source.revision || 'main' } : {}),
      ...(sha256 === undefined ? {} : { sha256 }),
    },
    folder: source.to,
    verify: () => verify(path),
    source: sourceOf(field, uri, { ...source, sha256 }, common),
    shared: source.shared,
    leaseMs: tuning.leaseMs,
    freeBytes: tuning.freeBytes,
    retry,
  });
  return { path, ...placed };
}

function parse(
  field: SourceField,
  { uri, revision, sha256 }: SourceOptions,
  engine: LoaderOptions['engine'],
): ModelUri {
  const flag = (name: string): string => (field === 'model' ? `--${name}` : `--adapter-${name}`);
  let parsed: ModelUri;
  try {
    parsed = parseModelUri(uri, `${field}.uri`);
  } catch (error) {
    if (error instanceof InvalidValueError)
      throw loadError('InvalidSource', `${flag('uri')} ${uri}: ${error.message}`, error);
    throw error;
  }
  if (sha256 && !/^[0-9a-f]{64}$/.test(sha256))
    throw loadError('InvalidSource', `${flag('sha256')} must be 64 hexadecimal digits in lower case`);
  if (revision && parsed.scheme !== 'hf')
    throw loadError('InvalidSource', `${flag('revision')} is for hf:// only: leave it out`);
  if (parsed.scheme !== 'https') return parsed;
  if (!sha256)
    throw loadError('InvalidSource', `https:// needs ${flag('sha256')}, against which the download is verified`);
  if (engine === 'VLLM')
    throw loadError('InvalidSource', 'VLLM serves a folder, https:// brings one file: use hf:// or pvc://');
  return parsed;
}

function fileName(uri: Exclude<ModelUri, { scheme: 'pvc' }>): string {
  return uri.scheme === 'https' ? uri.fileName : (uri.file?.split('/').at(-1) ?? '');
}

function sourceOf(
  field: SourceField,
  uri: Exclude<ModelUri, { scheme: 'pvc' }>,
  source: SourceOptions,
  { engine, hubEndpoint, log, signal, tuning: { dispatcher, retryDelayMs, maxAttempts } }: Common,
): ModelSource {
  const token = source.token || undefined;
  if (uri.scheme === 'https') {
    const get = httpGet({ dispatcher, token, tokenOrigin: new URL(uri.url).origin, signal });
    return httpsSource(field, uri, source.sha256 ?? '', get);
  }
  const endpoint = URL.parse(hubEndpoint);
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol))
    throw loadError(
      'InvalidSource',
      `--hub-endpoint ${hubEndpoint} is not an http or https URL, e.g. https://huggingface.co`,
    );
  return hubSource({
    field,
    uri,
    engine,
    revision: source.revision || 'main',
    endpoint: hubEndpoint.replace(/\/+$/, ''),
    hasToken: token !== undefined,
    sha256: source.sha256,
    get: httpGet({ dispatcher, token, tokenOrigin: endpoint.origin, signal }),
    retry: { log, signal, retryDelayMs, maxAttempts },
  });
}
