import { posix } from 'node:path';
import { z } from 'zod';
import type { HubUri } from '../../../crds/model-uri.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { EngineType } from '../../../crds/v1alpha1/specialized-model.ts';
import { errorMessage } from '../../../process/errors.ts';
import type { HttpGet, HttpResponse } from '../http.ts';
import { loadError } from '../report.ts';
import { type RetryOptions, retrying, TransientError } from '../retry.ts';
import { neededFiles, type TreeEntry, treeEntry } from './hub-files.ts';
import type { ModelSource, RemoteFile } from './model-source.ts';
import { safePath } from './safe-path.ts';

export interface HubSourceOptions {
  field: SourceField;
  uri: HubUri;
  engine: EngineType;
  revision: string;
  /** Of the hub or a mirror, without a slash at its end. */
  endpoint: string;
  hasToken: boolean;
  /** Expected SHA-256 of the one file; refused for a whole repository. */
  sha256?: string | undefined;
  get: HttpGet;
  retry: RetryOptions;
}

const revisionInfo = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });

const maxPages = 100;
const maxPageBytes = 16 * 2 ** 20;

/** A repository of the Hugging Face hub, or of a mirror that speaks its API. */
export function hubSource(options: HubSourceOptions): ModelSource {
  const { uri, endpoint, get } = options;
  const repo = `${uri.owner}/${uri.repo}`;
  const refusal = (response: HttpResponse, what: string) => hubRefusal(response, what, { ...options, repo });

  async function getJson<T extends z.ZodType>(url: string, schema: T): Promise<{ value: z.infer<T>; next?: string }> {
    return retrying(`asking the hub for ${repo}`, options.retry, async () => {
      const response = await get(url);
      if (response.status !== 200) {
        await response.body.dump();
        throw refusal(response, repo);
      }
      const parsed = schema.safeParse(await readJson(response, url));
      if (!parsed.success)
        throw loadError(
          'DownloadFailed',
          `${url} does not answer as the hub's API does: ${z.prettifyError(parsed.error)}`,
        );
      const next = /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers['link'] ?? '')?.[1];
      return next === undefined ? { value: parsed.data } : { value: parsed.data, next };
    });
  }

  async function commit(): Promise<string> {
    if (/^[0-9a-f]{40}$/.test(options.revision)) return options.revision;
    const url = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(options.revision)}`;
    return (await getJson(url, revisionInfo)).value.sha;
  }

  return {
    field: options.field,
    get,
    refusal,
    async list() {
      const sha = await commit();
      const entries: TreeEntry[] = [];
      let url: string | undefined = `${endpoint}/api/models/${repo}/tree/${sha}?recursive=true`;
      for (let page = 0; url !== undefined; page++) {
        if (page === maxPages) throw loadError('InvalidModel', `${repo} has too many files to be a model`);
        const got: { value: TreeEntry[]; next?: string } = await getJson(url, z.array(treeEntry));
        entries.push(...got.value);
        url = got.next === undefined ? undefined : onEndpoint(got.next, endpoint);
      }
      const found = entries.filter(({ type }) => type === 'file');
      for (const entry of found) safePath(entry.path);
      const needed = neededFiles(found, options.engine, uri, options.field);
      return { commit: sha, files: needed.map((entry) => remoteFile(entry, { ...options, repo, sha })) };
    },
  };
}

function remoteFile(entry: TreeEntry, where: HubSourceOptions & { repo: string; sha: string }): RemoteFile {
  const { endpoint, field, repo, sha, sha256, uri } = where;
  if (entry.lfs && sha256 !== undefined && entry.path === uri.file && sha256 !== entry.lfs.oid) {
    throw loadError(
      'ChecksumMismatch',
      `${repo}/${entry.path} has SHA-256 ${entry.lfs.oid} at ${sha}, but ${field}.sha256 is ${sha256}: correct one of them`,
    );
  }
  const url = `${endpoint}/${repo}/resolve/${sha}/${entry.path.split('/').map(encodeURIComponent).join('/')}`;
  // A single file stands at the top of the folder, where the engine is told to look; a repository keeps its shape.
  const path = uri.file === undefined ? entry.path : posix.basename(entry.path);
  if (entry.lfs) return { path, url, size: entry.lfs.size, digest: { algorithm: 'sha256', hex: entry.lfs.oid } };
  if (sha256 !== undefined && entry.path === uri.file)
    return { path, url, size: entry.size, digest: { algorithm: 'sha256', hex: sha256 } };
  if (!/^[0-9a-f]{40}$/.test(entry.oid))
    throw loadError('DownloadFailed', `the hub gives no hash for ${repo}/${entry.path}, so it can't be verified`);
  return { path, url, size: entry.size, digest: { algorithm: 'gitSha1', hex: entry.oid } };
}

/** The next page is on the same endpoint, whatever host the answer names: a mirror may pass the hub's links through. */
function onEndpoint(next: string, endpoint: string): string {
  const url = URL.parse(next, endpoint);
  const at = url?.pathname.indexOf('/api/models/') ?? -1;
  if (url === null || at < 0) throw loadError('DownloadFailed', 'the hub names a next page that is not of its API');
  return `${endpoint}${url.pathname.slice(at)}${url.search}`;
}

async function readJson(response: HttpResponse, url: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxPageBytes) throw loadError('DownloadFailed', `${url} answers more than ${maxPageBytes} bytes`);
      chunks.push(chunk as Buffer);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    if (error instanceof Error && error.name === 'UserError') throw error;
    throw new TransientError(`GET ${url}: ${errorMessage(error)}`, { cause: error });
  }
}

function hubRefusal(
  { status, headers }: HttpResponse,
  what: string,
  { field, repo, endpoint, hasToken, revision }: HubSourceOptions & { repo: string },
): Error {
  const code = headers['x-error-code'];
  const detail = headers['x-error-message'] ? ` (${headers['x-error-message']})` : '';
  if (code === 'GatedRepo') {
    const cure = `accept its conditions at ${endpoint}/${repo}, and set ${field}.credentials to a Secret with a token of that account`;
    return loadError('Unauthorized', `${repo} is gated${detail}: ${cure}`);
  }
  if (code === 'RevisionNotFound')
    return loadError('ModelNotFound', `${repo} has no revision ${revision}: correct ${field}.revision`);
  if (code === 'EntryNotFound')
    return loadError('ModelNotFound', `there is no ${what} at revision ${revision}: correct ${field}.uri`);
  if (code === 'RepoNotFound' && (hasToken || status === 404)) {
    const cure = hasToken ? 'or give the token the right to read it' : `or, if it is private, set ${field}.credentials`;
    return loadError('ModelNotFound', `the hub knows no ${repo}: correct ${field}.uri, ${cure}`);
  }
  if (status === 401 || status === 403) {
    const cure = hasToken
      ? `the token in the Secret of ${field}.credentials is wrong or may not read it`
      : `it does not exist, or is private: correct ${field}.uri, or set ${field}.credentials to a Secret with a token`;
    return loadError('Unauthorized', `the hub answered ${status} for ${what}${detail}: ${cure}`);
  }
  if (status === 404)
    return loadError('ModelNotFound', `the hub knows no ${what}: correct ${field}.uri or ${field}.revision`);
  return loadError('DownloadFailed', `the hub answered ${status} for ${what}${detail}`);
}
