/** The share of an answer's tokens that may be less likely than its confidence says. */
const quantile = 0.1;

/**
 * How sure a model was of the text that it wrote, in [0, 1]: the probability of the token that a tenth of the tokens are less
 * likely than, by the natural logarithms of all their probabilities. Undefined without tokens: unknown is not certain.
 *
 * A quantile and not the mean or the product, which say more of a text's length than of its quality (Gupta et al., Language
 * Model Cascades: Token-level Uncertainty and Beyond, ICLR 2024, arXiv 2404.10136). It is no probability of being right: what
 * threshold to set is to be seen on answers of the model's own.
 */
export function textConfidence(logprobs: readonly number[]): number | undefined {
  if (logprobs.length === 0) return undefined;
  const sorted = logprobs.toSorted((a, b) => a - b);
  const at = Math.floor(quantile * (sorted.length - 1));
  return Math.min(1, Math.exp(sorted[at] as number));
}
