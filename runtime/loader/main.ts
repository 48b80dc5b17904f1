import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { EnvHttpProxyAgent } from 'undici';
import { InvalidValueError } from '../../crds/invalid-value.ts';
import { type ModelUri, parseModelUri } from '../../crds/model-uri.ts';
import { httpGet } from './http.ts';
import type { LoaderOptions, LoaderTuning } from './options.ts';
import { placeRemote } from './place.ts';
import { defaultTerminationLog, failureOf, type LoadReport, loadError, writeTerminationMessage } from './report.ts';
import { fileError } from './retry.ts';
import { httpsSource } from './sources/https.ts';
import { hubSource } from './sources/hub.ts';
import type { ModelSource } from './sources/model-source.ts';
import { findInClaim } from './sources/pvc.ts';
import { verifyModel } from './verify.ts';

export type { LoaderOptions } from './options.ts';

/**
 * Brings a model's weights into place and verifies them. The outcome is also written as the container's termination
 * message, from which the operator learns it. A folder that is complete for the same request is left as it is, also where
 * the revision is a branch that has moved on since: one folder never changes under the engines that read it.
 *
 * @throws UserError whose code is one of `loadFailureCodes`.
 */
export async function runLoader(options: LoaderOptions): Promise<LoadReport> {
  const began = performance.now();
  const terminationLog = options.terminationLog ?? defaultTerminationLog;
  try {
    const { digest, bytes } = await load(options);
    const report: LoadReport = {
      ...(digest === undefined ? {} : { digest }),
      bytes,
      seconds: Math.ceil((performance.now() - began) / 1000),
    };
    options.log.info({ uri: options.uri, ...report }, 'the model is in place');
    await writeTerminationMessage(report, terminationLog);
    return report;
  } catch (error) {
    const cause = fileError(error, options.to);
    await writeTerminationMessage(failureOf(cause), terminationLog);
    throw cause;
  }
}

async function load(options: LoaderOptions): Promise<{ digest?: string; bytes: number }> {
  const uri = parse(options);
  const { engine, to, log, signal } = options;
  const sha256 = options.sha256 || undefined;
  if (uri.scheme === 'pvc') {
    const found = await findInClaim(uri, to, sha256);
    await verifyModel(found.path, engine);
    return found;
  }
  if (sha256 !== undefined && uri.scheme === 'hf' && uri.file === undefined)
    throw loadError(
      'InvalidSource',
      'model.sha256 is for one file, and model.uri names a whole repository: leave it out',
    );
  const tuning = tuningOf(options);
  const retry = { log, signal, retryDelayMs: tuning.retryDelayMs, maxAttempts: tuning.maxAttempts };
  await mkdir(to, { recursive: true });
  return placeRemote({
    request: {
      uri: options.uri,
      engine,
      ...(uri.scheme === 'hf' ? { revision: options.revision || 'main' } : {}),
      ...(sha256 === undefined ? {} : { sha256 }),
    },
    folder: to,
    modelPath: uri.scheme === 'hf' && uri.file === undefined ? to : join(to, fileName(uri)),
    engine,
    source: sourceOf(uri, { ...options, sha256 }, tuning),
    shared: options.shared,
    leaseMs: tuning.leaseMs,
    freeBytes: tuning.freeBytes,
    retry,
  });
}

function parse({ uri, engine, revision, sha256 }: LoaderOptions): ModelUri {
  let parsed: ModelUri;
  try {
    parsed = parseModelUri(uri);
  } catch (error) {
    if (error instanceof InvalidValueError) throw loadError('InvalidSource', `--uri ${uri}: ${error.message}`, error);
    throw error;
  }
  if (sha256 && !/^[0-9a-f]{64}$/.test(sha256))
    throw loadError('InvalidSource', '--sha256 must be 64 hexadecimal digits in lower case');
  if (revision && parsed.scheme !== 'hf')
    throw loadError('InvalidSource', '--revision is for hf:// only: leave it out');
  if (parsed.scheme !== 'https') return parsed;
  if (!sha256) throw loadError('InvalidSource', 'https:// needs --sha256, against which the download is verified');
  if (engine === 'VLLM')
    throw loadError('InvalidSource', 'VLLM serves a folder, https:// brings one file: use hf:// or pvc://');
  return parsed;
}

function fileName(uri: Exclude<ModelUri, { scheme: 'pvc' }>): string {
  return uri.scheme === 'https' ? uri.fileName : (uri.file?.split('/').at(-1) ?? '');
}

function sourceOf(
  uri: Exclude<ModelUri, { scheme: 'pvc' }>,
  options: LoaderOptions,
  { dispatcher, retryDelayMs, maxAttempts }: LoaderTuning,
): ModelSource {
  const { engine, hubEndpoint, log, sha256, signal } = options;
  const token = options.token || undefined;
  if (uri.scheme === 'https') {
    const get = httpGet({ dispatcher, token, tokenOrigin: new URL(uri.url).origin, signal });
    return httpsSource(uri, sha256 ?? '', get);
  }
  const endpoint = URL.parse(hubEndpoint);
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol))
    throw loadError(
      'InvalidSource',
      `--hub-endpoint ${hubEndpoint} is not an http or https URL, e.g. https://huggingface.co`,
    );
  return hubSource({
    uri,
    engine,
    revision: options.revision || 'main',
    endpoint: hubEndpoint.replace(/\/+$/, ''),
    hasToken: token !== undefined,
    sha256,
    get: httpGet({ dispatcher, token, tokenOrigin: endpoint.origin, signal }),
    retry: { log, signal, retryDelayMs, maxAttempts },
  });
}

function tuningOf({ tuning }: LoaderOptions): LoaderTuning {
  return {
    retryDelayMs: 1_000,
    maxAttempts: 6,
    leaseMs: 60_000,
    freeBytes: freeBytesAt,
    ...tuning,
    // Proxies by HTTPS_PROXY and NO_PROXY, certificates by NODE_EXTRA_CA_CERTS, as everywhere in Node.
    dispatcher: tuning?.dispatcher ?? new EnvHttpProxyAgent({ connect: { timeout: 10_000 } }),
  };
}

async function freeBytesAt(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
