import { digest } from './answers.ts';
import type { LabelledMessage, Question } from './predict.ts';

/** A queue as a model that was not trained for it is told about it. */
export interface DescribedLabel {
  name: string;
  description: string;
}

/** One way to ask a general model. */
export interface Prompt {
  /** What readers call it, e.g. `22 examples in its prompt`. */
  name: string;
  question: (text: string) => Question;
}

/**
 * The prompts that are tried with a general model: the labels with their meaning and, for a model that is tuned to chat, the
 * bare question, else messages of the training part with their labels, `shots` of each label. Which of them counts is
 * decided on validation, as every model's free choices are.
 */
export function promptsFor(
  labels: readonly DescribedLabel[],
  training: readonly LabelledMessage[],
  { chat, shots }: { chat: boolean; shots: readonly number[] },
): Prompt[] {
  const head = `Sort the customer message of a bank into one queue. Queues:\n${labels
    .map(({ name, description }) => `${name}: ${description}`)
    .join('\n')}`;
  const zeroShot: Prompt = {
    name: 'no examples',
    question: (text) => ({
      messages: [
        { role: 'system', content: `${head}\nAnswer with the queue name only.` },
        { role: 'user', content: text },
      ],
    }),
  };
  const few = shots.map((count): Prompt => {
    const examples = pick(labels, training, count);
    const shown = examples.map(({ text, label }) => `Message: ${text}\nQueue: ${label}\n\n`).join('');
    return {
      name: `${examples.length} examples`,
      question: (text) => ({ prompt: `${head}\n\n${shown}Message: ${text}\nQueue:` }),
    };
  });
  return chat ? [zeroShot, ...few] : few;
}

/** As many messages of each label, chosen and ordered by their digests: by chance, and the same ones each time. */
export function pick(
  labels: readonly DescribedLabel[],
  training: readonly LabelledMessage[],
  count: number,
): LabelledMessage[] {
  const sorted = shuffled(training);
  const chosen = labels.flatMap(({ name }) => sorted.filter(({ label }) => label === name).slice(0, count));
  return shuffled(chosen);
}

/** The messages in the order of their digests, which has nothing to do with what they say. */
export function shuffled<T extends { text: string }>(messages: readonly T[]): T[] {
  const keyed = messages.map((message) => ({ message, key: digest(message.text) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ message }) => message);
}
