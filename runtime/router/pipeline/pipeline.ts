import { ApiError } from '../errors.ts';
import { classifications } from '../operations.ts';
import { untilAnswered } from './attempts.ts';
import { authenticate } from './authenticate.ts';
import { balance } from './balance.ts';
import { classifyTexts } from './classify-texts.ts';
import type { Exchange, RouterContext, Stage } from './exchange.ts';
import { limit, settle } from './limit.ts';
import { match } from './match.ts';
import { meter } from './meter.ts';
import { receive } from './receive.ts';
import { endBroken, sendError } from './reply.ts';
import { send } from './send.ts';
import { split } from './split.ts';

/** The way of a request. */
const stages: readonly Stage[] = [receive, authenticate, match, limit, split, byText(untilAnswered(balance, send))];

/** Has the texts of a request to classify answered each by itself. */
function byText(answer: Stage): Stage {
  return (exchange, context) =>
    exchange.operation === classifications ? classifyTexts(exchange, context, answer) : answer(exchange, context);
}

/** Takes a request through the stages, answers what they throw, and meters it however it ended. */
export async function serve(exchange: Exchange, context: RouterContext): Promise<void> {
  try {
    for (const stage of stages) {
      const pending = stage(exchange, context);
      if (pending) await pending;
    }
  } catch (error) {
    const thrown = error instanceof ApiError ? error : unexpected(error, exchange, context);
    const known = exchange.front?.told(thrown) ?? thrown;
    exchange.status = known.status;
    if (!exchange.gone) {
      // A stream that was kept alive has its status already.
      if (exchange.response.headersSent) endBroken(exchange, known);
      else sendError(exchange.response, exchange.id, known);
    }
  }
  if (exchange.gone) exchange.status = 499; // nginx's code for a client that left
  meter(exchange, context);
  settle(exchange);
  exchange.trace?.end(exchange);
}

function unexpected(error: unknown, { id, response }: Exchange, { log }: RouterContext): ApiError {
  log.error({ err: error, requestId: id }, 'a request failed in a way that nobody thought of');
  if (response.headersSent) response.destroy();
  return new ApiError(500, 'internal_error', `the router failed; its log tells why under request id ${id}`);
}
