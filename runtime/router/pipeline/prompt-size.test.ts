import { describe, expect, it } from 'vitest';
import { foreseenTokens, promptTokens } from './prompt-size.ts';

const text = 'a'.repeat(400);

describe('the tokens of a prompt', () => {
  it.each([
    ['a message', { messages: [{ role: 'user', content: text }] }, 100],
    ['messages, of which each has a text', { messages: [{ content: text }, { content: 'b' }, { content: null }] }, 101],
    ['the texts among the parts of a message', { messages: [{ content: [{ type: 'text', text }] }] }, 100],
    [
      'no image',
      { messages: [{ content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${text}` } }] }] },
      0,
    ],
    ['a prompt', { prompt: text }, 100],
    ['several prompts', { prompt: [text, text] }, 200],
    ['a prompt in tokens', { prompt: [1, 2, 3] }, 3],
    ['several prompts in tokens', { prompt: [[1, 2, 3], [4]] }, 4],
    ['texts to embed or to classify', { input: [text, 'bb'] }, 101],
    ['bytes, of which other scripts have more', { prompt: '退款'.repeat(2) }, 3],
    ['nothing', {}, 0],
    ['what makes no sense', { messages: 7, prompt: { content: 8 }, input: [null, true] }, 1],
  ])('%s', (_, body, tokens) => {
    expect(promptTokens(body)).toBe(tokens);
  });
});

describe('the tokens that are foreseen', () => {
  it('are those of the prompt and of the longest answers that the request allows', () => {
    expect(foreseenTokens({ prompt: text })).toBe(100);
    expect(foreseenTokens({ prompt: text, max_tokens: 50 })).toBe(150);
    expect(foreseenTokens({ prompt: text, max_tokens: 50, max_completion_tokens: 20, n: 3 })).toBe(160);
  });

  it('are whole and bounded whatever a client sends', () => {
    for (const odd of ['many', -1, 0.5, 1e300, Number.NaN, null, {}]) {
      const foreseen = foreseenTokens({ prompt: text, max_tokens: odd, n: odd });
      expect(Number.isSafeInteger(foreseen)).toBe(true);
      expect(foreseen).toBeGreaterThanOrEqual(100);
    }
  });
});
