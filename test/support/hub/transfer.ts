import type { IncomingMessage, ServerResponse } from 'node:http';

/** How one transfer of a file's content goes. */
export interface Transfer {
  /** The connection breaks after so many bytes of this answer. */
  cutAfter?: number;
  /** The answer stands still after so many bytes, until the client leaves or `resume` is called. */
  stallAfter?: number;
  onStall?: (resume: () => void) => void;
  /** Answered instead of content. */
  status?: number;
  headers?: Record<string, string>;
  /** The content is this instead. */
  content?: Buffer;
  /** As if the server knew no ranges. */
  ignoreRange?: boolean;
}

/** Sends a file as web servers do: ranges, `If-Range`, 416, lengths; or the way a test asks for. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  whole: Buffer,
  headers: Record<string, string>,
  transfer: Transfer = {},
): void {
  if (transfer.status !== undefined) return void response.writeHead(transfer.status, transfer.headers ?? {}).end();
  const content = transfer.content ?? whole;
  const { range, 'if-range': ifRange } = request.headers;
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? Number.NaN);
  const ranged = !Number.isNaN(from) && !transfer.ignoreRange && (ifRange === undefined || ifRange === headers['etag']);
  if (ranged && from >= content.length)
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  const body = ranged ? content.subarray(from) : content;
  response.writeHead(ranged ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': String(body.length),
    ...headers,
    ...transfer.headers,
    ...(ranged ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
  });
  if (request.method === 'HEAD') return void response.end();
  const { cutAfter, stallAfter, onStall } = transfer;
  if (cutAfter !== undefined) response.write(body.subarray(0, cutAfter), () => response.destroy());
  else if (stallAfter === undefined) response.end(body);
  else {
    response.write(body.subarray(0, stallAfter));
    onStall?.(() => response.end(body.subarray(stallAfter)));
  }
}
