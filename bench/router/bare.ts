import { createServer, type Server } from 'node:http';
import { Pool } from 'undici';

/** The least that a proxy in Node can do that reads what passes: parse the request, and an answer that comes as a whole. */
export function createBareProxy(backendUrl: string): Server {
  const pool = new Pool(backendUrl);
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const { stream } = JSON.parse(body.toString()) as { stream?: boolean };
      const parts: Buffer[] = [];
      pool.dispatch(
        { method: 'POST', path: '/v1/chat/completions', headers: ['content-type', 'application/json'], body },
        {
          onRequestStart: () => undefined,
          onResponseStart(_, status) {
            if (stream) response.writeHead(status, { 'content-type': 'text/event-stream' });
          },
          onResponseData(_, part) {
            if (stream) response.write(part);
            else parts.push(part);
          },
          onResponseEnd() {
            if (stream) {
              response.end();
              return;
            }
            const whole = Buffer.concat(parts);
            JSON.parse(whole.toString());
            response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length });
            response.end(whole);
          },
          onResponseError: () => response.destroy(),
        },
      );
    });
  });
}
