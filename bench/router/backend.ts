import { createServer, type Server } from 'node:http';
import { answers, events } from './cases.ts';

const modelOf = /"model":"(\w+)"/;

/** A model that answers at once: by the name that it is asked for, and an event for each turn of the loop in a stream. */
export function createBackend(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      if (!/"stream": ?true/.test(body)) {
        const answer = answers[modelOf.exec(body)?.[1] ?? ''] ?? answers['plain'];
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer?.length });
        response.end(answer);
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let sent = 0;
      // As tokens come one by one.
      const next = (): void => {
        if (sent < events.length) {
          response.write(events[sent++]);
          setImmediate(next);
        } else response.end('data: [DONE]\n\n');
      };
      next();
    });
  });
}
