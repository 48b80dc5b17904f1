import { labels } from '../router/labels.ts';

/** So many texts are told apart, by the number that each begins with. */
const variants = 1000;

const words =
  'my card has not arrived and the app says that the payment of last week was declined again so please '.repeat(5);

/** What follows the number of a text, and is nowhere else. */
export const mark = ' | ';

/** A text of about 100 tokens whose number tells what a model thinks of it. */
export function textOf(number: number): string {
  return `${String(number % variants).padStart(3, '0')}${mark}${words.slice(0, 440)}`;
}

/** The number that a text begins with. */
export function numberOf(text: string): number {
  return Number(text.slice(0, 3));
}

/** What the model thinks of each text: a probability for each label, in their order. */
export const probabilities: readonly (readonly number[])[] = Array.from({ length: variants }, (_, number) => {
  const weights = labels.map((_label, at) => 1 + ((number * 7919 + at * 104_729) % 997));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
});

/** The likeliest label of a text. */
export function labelOf(number: number): string {
  const own = probabilities[number] as readonly number[];
  return labels[own.indexOf(Math.max(...own))] as string;
}
