import type { AnswerDocument } from '../answers/document.ts';
import { type ClassifierBackend, isClassifier, textsRequest } from '../providers/classifier.ts';
import { askHead, type HeadAnswer } from './classify.ts';
import { type Attempt, type Exchange, set } from './exchange.ts';
import type { Labelled, LabelVerdict } from './send-label.ts';

/** So many requests for texts of one batch are under way at once: a batch must not keep others from an engine. */
const mostAtOnce = 16;
/** So many texts are sent to a classification head at once. */
const mostTexts = 256;

/** What is known of a text in the end. */
export interface TakenText {
  attempt: Attempt;
  verdict: LabelVerdict;
}

/** One text of a request to classify. It takes its own way: who is asked, and who is asked next. */
export interface BatchText {
  readonly value: string;
  readonly batch: Batch;
  /** Once it is classified. */
  taken: TakenText | undefined;
}

/** Texts that one classification head is asked about in one request. */
interface Joined {
  texts: string[];
  answer: Promise<HeadAnswer>;
}

const nothingElse: AnswerDocument = { choices: [] };

/** The texts of one request on their ways: those that ask the same head in one turn of the loop ask it together. */
export class Batch {
  /** Attempts that were made together with another one, which bears what they cost. */
  readonly joined = new Set<Attempt>();
  readonly #asking = new Map<string, Joined>();
  readonly #waiting: (() => void)[] = [];
  #free = mostAtOnce;

  /** Asks about one text: together with others where a head takes several at once, else by `alone` when it is its turn. */
  asked(exchange: Exchange, attempt: Attempt, alone: () => Promise<Labelled>): Promise<Labelled> {
    const { backend } = set(attempt.backend.speaking, 'way to call the backend');
    return isClassifier(backend) && backend.classify === 'Text'
      ? this.#together(exchange, attempt, backend)
      : this.#inTurn(alone);
  }

  async #together(exchange: Exchange, attempt: Attempt, backend: ClassifierBackend): Promise<Labelled> {
    const { value } = set(exchange.text, 'text');
    const key = `${backend.name} ${attempt.upstream?.origin}`;
    let joined = this.#asking.get(key);
    if (!joined) this.#asking.set(key, (joined = this.#begin(key, exchange, attempt, backend)));
    else this.joined.add(attempt);
    const at = joined.texts.push(value) - 1;
    if (joined.texts.length === mostTexts) this.#asking.delete(key);
    const answer = await joined.answer;
    if (answer.failure) return answer;
    const verdicts = [answer.verdicts[at] as LabelVerdict];
    return { document: nothingElse, verdicts, usage: at === 0 ? answer.usage : undefined };
  }

  /** Waits until few enough of the batch are under way. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  #begin(key: string, exchange: Exchange, attempt: Attempt, backend: ClassifierBackend): Joined {
    const texts: string[] = [];
    const { labels } = set(exchange.route, 'route');
    const joined: Joined = {
      texts,
      answer: new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        if (this.#asking.get(key) === joined) this.#asking.delete(key);
        return askHead(exchange, attempt, { labels, asked: textsRequest(texts, backend), count: texts.length });
      }),
    };
    return joined;
  }
}
