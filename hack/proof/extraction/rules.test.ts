import { describe, expect, it } from 'vitest';
import { extractByRules } from './rules.ts';

describe('the rules that extraction is compared with', () => {
  it('read what is written plainly', () => {
    expect(extractByRules('Hi, please cancel order #ab-4821 of March 3rd. I paid 1,249.50 USD.')).toEqual({
      order: 'AB-4821',
      amount: 1249.5,
      currency: 'USD',
      date: '03-03',
      issue: 'cancel',
    });
    expect(extractByRules('The lamp leaks. I spent 12,50 € on the 4th of May')).toEqual({
      order: null,
      amount: 12.5,
      currency: 'EUR',
      date: '05-04',
      issue: 'damaged',
    });
  });

  it('leave out what the words beside it say is something else', () => {
    expect(
      extractByRules('Where is it? Tracking: JD48213. Shipping was £4.99 on top. I need it by 7 June. Order 77310.'),
    ).toEqual({ order: '77310', amount: null, currency: null, date: null, issue: 'late' });
  });
});
