import { chatChunk, vllmChat } from '../../../runtime/router/testing/answers.ts';
import { event, type Script } from '../../../runtime/router/testing/engine.ts';

/** The marker that a request's body carries: its answer has to have this one, and no other. */
export const markerPattern = /marker-[0-9a-f-]+/g;

/** An engine that answers with the marker of what it was asked, whole or in three events. */
export const echo: Script = ({ raw, body, response }) => {
  const marker = raw.match(markerPattern)?.[0] ?? 'none';
  if (body['stream'] !== true) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(vllmChat(marker)));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(chatChunk({ role: 'assistant', content: '' })));
  response.write(event(chatChunk({ content: marker })));
  response.end(`${event(chatChunk({}, 'stop'))}${event('[DONE]')}`);
};
