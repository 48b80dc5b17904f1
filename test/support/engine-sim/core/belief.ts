import { hash } from './text.ts';

/**
 * How likely the model finds each label for a prompt; sums to 1. A label whose name is in the last line of the prompt is
 * likely, so that tests can say what will be answered; otherwise it depends on the words, the same each time.
 */
export function belief(prompt: string, labels: string[], seed: number): number[] {
  const question = prompt.trimEnd().split('\n').slice(-2).join('\n').toLowerCase();
  const scores = labels.map((label) => {
    const name = label.trim().toLowerCase().replaceAll(/[_-]/g, ' ');
    const named = name !== '' && (question.includes(name) || question.includes(label.trim().toLowerCase()));
    return (named ? 5 : 0) + (hash(`${question}\n${label}`, seed) / 2 ** 32) * 2;
  });
  const most = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - most));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
