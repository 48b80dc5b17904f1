import { mkdir, statfs, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EnvHttpProxyAgent } from 'undici';
import { UserError } from '../../process/errors.ts';
import type { LoaderOptions, LoaderTuning } from './options.ts';
import { defaultTerminationLog, failureOf, type LoadReport, writeTerminationMessage } from './report.ts';
import { fileError } from './retry.ts';
import { type Placed, placeSource } from './source.ts';
import { verifyModel } from './verify.ts';
import { adapterDigest, verifyAdapter } from './verify-adapter.ts';
import { verifyFit } from './verify-fit.ts';

export type { LoaderOptions } from './options.ts';

/**
 * Brings a model's weights into place and verifies them, and its adapter and its prompt template, where it has these. The
 * outcome is also written as the container's termination message, from which the operator learns it. A folder that is complete
 * for the same request is left as it is, also where the revision is a branch that has moved on since: one folder never changes
 * under the engines that read it.
 *
 * @throws UserError whose code is one of `loadFailureCodes`.
 */
export async function runLoader(options: LoaderOptions): Promise<LoadReport> {
  const began = performance.now();
  const terminationLog = options.terminationLog ?? defaultTerminationLog;
  try {
    const loaded = await load(options);
    const report: LoadReport = { ...loaded, seconds: Math.ceil((performance.now() - began) / 1000) };
    options.log.info({ uri: options.uri, adapterUri: options.adapter?.uri, ...report }, 'the model is in place');
    await writeTerminationMessage(report, terminationLog);
    return report;
  } catch (error) {
    const cause = fileError(error, options.to);
    await writeTerminationMessage(failureOf(cause), terminationLog);
    throw cause;
  }
}

async function load(options: LoaderOptions): Promise<Omit<LoadReport, 'seconds'>> {
  const { engine, promptTemplate, adapter } = options;
  const common = { ...options, tuning: tuningOf(options) };
  // The small ones first: what is wrong with them is known before the weights have come.
  if (promptTemplate) {
    await mkdir(dirname(promptTemplate.to), { recursive: true });
    await writeFile(promptTemplate.to, promptTemplate.text);
  }
  const beside = adapter && (await aboutAdapter(() => placeSource('model.adapter', adapter, common, wholeAdapter)));
  const { path, bytes, digest } = await placeSource('model', options, common, (at) => verifyModel(at, engine));
  return {
    ...(digest === undefined ? {} : { digest }),
    bytes,
    ...(beside && { adapterDigest: await aboutAdapter(() => fit(beside, path)) }),
  };

  function wholeAdapter(at: string): Promise<void> {
    return verifyAdapter(at, engine);
  }

  async function fit(placed: Placed, modelPath: string): Promise<string> {
    await verifyFit(placed.path, modelPath, engine);
    return placed.digest ?? (await adapterDigest(placed.path));
  }
}

/** Not every message says what of the two it is about. */
async function aboutAdapter<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError) || error.message.startsWith('the adapter')) throw error;
    throw new UserError(error.code, `the adapter: ${error.message}`, { cause: error });
  }
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
