import { chatCompletions, type Operation, type RequestBody } from '../operations.ts';

/** Members by which an upstream tells the log-probability of each token that it says; none where the client asked for them. */
export function tokenLogprobs(body: RequestBody, operation: Operation): Record<string, string> {
  if (operation !== chatCompletions) return typeof body['logprobs'] === 'number' ? {} : { logprobs: '1' };
  return body['logprobs'] === true ? {} : { logprobs: 'true', top_logprobs: '1' };
}
