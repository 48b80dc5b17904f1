import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sendFile, type Transfer } from './transfer.ts';

/** One repository of the local hub. */
export interface HubRepo {
  files: Record<string, Buffer>;
  /** Branches and tags beside `main`, which name the same commit. */
  branches?: string[];
  /** Who does not send this token is told that there is no such repository. */
  token?: string;
  /** With a token, but its account did not accept the conditions. */
  gated?: boolean;
}

/** A request as the hub or its content network saw it. */
export interface SeenRequest {
  server: 'hub' | 'cdn';
  path: string;
  authorization: string | undefined;
  range: string | undefined;
  status: number;
}

/**
 * Speaks as much of the Hugging Face hub's API as a download needs, the way the hub does: revision, tree with pages,
 * resolve with a redirect to a content network on another host, LFS digests, error codes in headers.
 */
export interface Hub {
  /** e.g. `http://127.0.0.1:41234` */
  endpoint: string;
  cdn: string;
  requests: SeenRequest[];
  /** What the next transfers of file content do, in order; then all goes well. */
  transfers: Transfer[];
  /** What the next requests to the API are answered, before anything else. */
  failures: { status: number; headers?: Record<string, string> }[];
  /** Entries on one page of a tree. */
  pageSize: number;
  /** Replaces what a tree lists, to lie about it. */
  lie: ((entries: TreeItem[]) => TreeItem[]) | undefined;
  repos: Map<string, HubRepo>;
  commitOf(repo: string): string;
  close(): Promise<void>;
}

export interface TreeItem {
  type: 'file' | 'directory';
  oid: string;
  size: number;
  path: string;
  lfs?: { oid: string; size: number; pointerSize: number };
}

/** From this size on, and for weights always, the hub keeps a file in LFS. */
const lfsBytes = 100_000;

export async function startHub(repos: Record<string, HubRepo>): Promise<Hub> {
  const requests: SeenRequest[] = [];
  const hub: Hub = {
    endpoint: '',
    cdn: '',
    requests,
    transfers: [],
    failures: [],
    pageSize: 1000,
    lie: undefined,
    repos: new Map(Object.entries(repos)),
    commitOf: (repo) => sha1(`commit of ${repo}`),
    close: async () => {
      await Promise.all([stop(api), stop(cdn)]);
    },
  };
  const answering =
    (server: 'hub' | 'cdn', handle: Handler) => (request: IncomingMessage, response: ServerResponse) => {
      response.once('close', () => {
        const { authorization, range } = request.headers;
        requests.push({ server, path: request.url ?? '', authorization, range, status: response.statusCode });
      });
      handle(hub, request, response);
    };
  const api = createServer(answering('hub', answerApi));
  const cdn = createServer(answering('cdn', answerCdn));
  hub.endpoint = `http://127.0.0.1:${await start(api, '127.0.0.1')}`;
  // Another host, not only another port.
  hub.cdn = `http://127.0.0.2:${await start(cdn, '127.0.0.2')}`;
  return hub;
}

type Handler = (hub: Hub, request: IncomingMessage, response: ServerResponse) => void;

function answerApi(hub: Hub, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', hub.endpoint);
  const failure = hub.failures.shift();
  if (failure) return void response.writeHead(failure.status, failure.headers ?? {}).end();
  const tree = /^\/api\/models\/([^/]+\/[^/]+)\/(tree|revision)\/([^/]+)$/.exec(url.pathname);
  const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
  const [, name = '', kind = 'resolve'] = tree ?? resolve ?? [];
  const revision = decodeURIComponent((tree ? tree[3] : resolve?.[2]) ?? '');
  const repo = permitted(hub, name, request, response);
  if (!repo) return;
  const commit = hub.commitOf(name);
  if (![commit, 'main', ...(repo.branches ?? [])].includes(revision))
    return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
  if (kind === 'revision') {
    const siblings = Object.keys(repo.files).map((rfilename) => ({ rfilename }));
    return json(response, { id: name, modelId: name, sha: commit, private: false, gated: false, siblings });
  }
  if (kind === 'tree') return answerTree(hub, repo, url, response);
  const path = decodeURIComponent(resolve?.[3] ?? '');
  const content = repo.files[path];
  if (!content) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
  const item = treeItem(path, content);
  const headers = { 'x-repo-commit': commit, 'x-linked-size': String(content.length) };
  if (!item.lfs)
    return sendFile(request, response, content, { ...headers, etag: `"${item.oid}"` }, hub.transfers.shift());
  response
    .writeHead(302, {
      ...headers,
      'x-linked-etag': `"${item.lfs.oid}"`,
      location: `${hub.cdn}/repos/${item.lfs.oid}?repo=${encodeURIComponent(name)}&X-Signature=secret`,
    })
    .end();
}

function answerTree(hub: Hub, repo: HubRepo, url: URL, response: ServerResponse): void {
  const files = Object.entries(repo.files).map(([path, content]) => treeItem(path, content));
  const folders = new Set(
    files.flatMap(({ path }) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : [])),
  );
  const listed = [
    ...[...folders].map((path) => ({ type: 'directory' as const, oid: sha1(path), size: 0, path })),
    ...files,
  ];
  const entries = hub.lie ? hub.lie(listed) : listed;
  const from = Number(url.searchParams.get('cursor') ?? 0);
  const to = from + hub.pageSize;
  const next = new URL(url);
  next.searchParams.set('cursor', String(to));
  json(response, entries.slice(from, to), to < entries.length ? { link: `<${next.href}>; rel="next"` } : {});
}

function answerCdn(hub: Hub, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', hub.cdn);
  const oid = url.pathname.split('/').at(-1);
  if (request.headers.authorization !== undefined)
    return void response
      .writeHead(400, { 'content-type': 'application/xml' })
      .end('<Error>Unsupported Authorization Type</Error>');
  const repo = hub.repos.get(url.searchParams.get('repo') ?? '');
  const content = Object.values(repo?.files ?? {}).find((file) => sha256(file) === oid);
  if (!content || url.searchParams.get('X-Signature') !== 'secret') return void response.writeHead(403).end();
  sendFile(request, response, content, { etag: `"${oid}"` }, hub.transfers.shift());
}

function permitted(hub: Hub, name: string, request: IncomingMessage, response: ServerResponse): HubRepo | undefined {
  const { authorization } = request.headers;
  const tokens = [...hub.repos.values()].flatMap(({ token }) => (token ? [`Bearer ${token}`] : []));
  if (authorization !== undefined && !tokens.includes(authorization)) {
    refuse(response, 401, undefined, 'Invalid credentials in Authorization header');
    return undefined;
  }
  const repo = hub.repos.get(name);
  const allowed = repo && (repo.token === undefined || authorization === `Bearer ${repo.token}`);
  if (!repo || (!allowed && !repo.gated)) {
    // Whether it exists is not told to strangers.
    refuse(response, authorization === undefined ? 401 : 404, 'RepoNotFound', 'Repository not found');
    return undefined;
  }
  if (repo.gated) {
    refuse(response, allowed ? 403 : 401, 'GatedRepo', `Access to model ${name} is restricted.`);
    return undefined;
  }
  return repo;
}

export function treeItem(path: string, content: Buffer): TreeItem {
  const size = content.length;
  const isLfs = size >= lfsBytes || /\.(gguf|safetensors|bin|pt)$/.test(path);
  if (!isLfs) return { type: 'file', oid: gitBlob(content), size, path };
  const oid = sha256(content);
  const pointer = Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`);
  return { type: 'file', oid: gitBlob(pointer), size, path, lfs: { oid, size, pointerSize: pointer.length } };
}

function gitBlob(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

export function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

function refuse(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  const headers = { ...(code ? { 'x-error-code': code } : {}), 'x-error-message': message };
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ error: message }));
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(JSON.stringify(value));
}

function start(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
