import { chatCompletions, type Operation, type RequestBody } from '../operations.ts';

/** Members by which an upstream tells the log-probability of each token that it says; none where the client asked for them. */
export function tokenLogprobs(body: RequestBody, operation: Operation): Record<string, string> {
  if (operation !== chatCompletions) return typeof body['logprobs'] === 'number' ? {} : { logprobs: '1' };
  if (body['logprobs'] !== true) return { logprobs: 'true', top_logprobs: '1' };
  // llama-server tells nothing where none of the likeliest are asked for.
  return typeof body['top_logprobs'] === 'number' && body['top_logprobs'] > 0 ? {} : { top_logprobs: '1' };
}
