import { hash } from './text.ts';

/**
 * How likely the model finds each label for a prompt; sums to 1. A prompt may say it: `[billing=0.8, refund=0.1]`, and the
 * other labels share the rest (labels that differ by a space at their beginning only are one). Else a label whose name is in the last line of the prompt is
 * likely, so that tests can say what will be answered; otherwise it depends on the words, the same each time.
 */
export function belief(prompt: string, labels: string[], seed: number): number[] {
  const told = toldBelief(prompt, labels);
  if (told) return told;
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

const steering = /\[((?:[^[\]=,]+=[0-9.]+(?:, )?)+)\]/;

function toldBelief(prompt: string, labels: string[]): number[] | undefined {
  const told = steering.exec(prompt)?.[1];
  if (told === undefined) return undefined;
  const given = new Map(
    told
      .split(', ')
      .map((one) => [one.slice(0, one.lastIndexOf('=')), Number(one.slice(one.lastIndexOf('=') + 1))] as const),
  );
  const names = labels.map((label) => label.trim());
  const spellings = (name: string): number => names.filter((one) => one === name).length;
  const left = 1 - [...given].reduce((sum, [name, p]) => sum + (names.includes(name) ? p : 0), 0);
  const others = names.filter((name) => !given.has(name)).length;
  const weights = names.map(
    (name) => (given.get(name) ?? 0) / spellings(name) || Math.max(1e-9, left / Math.max(1, others)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
