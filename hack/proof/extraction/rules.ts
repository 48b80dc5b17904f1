import type { OrderRecord } from './task.ts';

/**
 * The yardstick: what regular expressions get whose author has read the training messages, and knows every way in which an
 * amount or a date is written. They take the first number of each shape, unless words beside it say that it is something
 * else.
 */
export function extractByRules(text: string): OrderRecord {
  const money = firstOwn(text, amountShape, otherAmount);
  return {
    order: orderNumber(text),
    amount: money?.amount ?? null,
    currency: money?.currency ?? null,
    date: firstDate(text),
    issue: issueOf(text),
  };
}

const currencyOf: Record<string, string> = {
  '€': 'EUR',
  eur: 'EUR',
  euro: 'EUR',
  euros: 'EUR',
  $: 'USD',
  usd: 'USD',
  dollars: 'USD',
  bucks: 'USD',
  '£': 'GBP',
  gbp: 'GBP',
  pounds: 'GBP',
  quid: 'GBP',
  chf: 'CHF',
  francs: 'CHF',
  'swiss francs': 'CHF',
  'fr.': 'CHF',
};
const number = String.raw`\d{1,3}(?:,\d{3})+(?:\.\d\d)?|\d+(?:[.,]\d\d)?`;
const unit = '€|\\$|£|eur|euros?|usd|dollars|bucks|gbp|pounds|quid|chf|francs|swiss francs';
const amountShape = new RegExp(
  `(?:(€|\\$|£|eur|usd|gbp|chf|fr\\.) ?(${number}))|(?:(${number}) ?(${unit})(?![a-z]))`,
  'gi',
);
const otherAmount =
  /shipping|postage|delivery fee|delivery was|voucher|coupon|credit|back costs|extra|on top|shop|friend|elsewhere|off\b/i;

function firstOwn(text: string, shape: RegExp, other: RegExp): { amount: number; currency: string } | undefined {
  for (const match of text.matchAll(shape)) {
    if (other.test(sentenceAround(text, match.index))) continue;
    const written = (match[2] ?? match[3] ?? '').replace(/,(?=\d{3})/g, '').replace(',', '.');
    const currency = currencyOf[(match[1] ?? match[4] ?? '').toLowerCase()];
    if (currency !== undefined) return { amount: Number(written), currency };
  }
  return undefined;
}

const orderShape = /#?\b(?=[a-z-]*\d)([a-z]{0,3}-?\d{4,6})\b(?![.,]\d)/gi;
const otherNumber =
  /tracking|customer|call|phone|invoice number|article|account|serial|catalogue|reach|colleague|calls it/i;

function orderNumber(text: string): string | null {
  for (const match of text.matchAll(orderShape)) {
    if (text.startsWith('2026-', match.index)) continue;
    if (!otherNumber.test(sentenceAround(text, match.index))) return (match[1] ?? '').toUpperCase();
  }
  return null;
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const month = String.raw`(${months.join('|')})[a-z]*`;
const dateShape = new RegExp(
  String.raw`\b(?:(\d{1,2})(?:st|nd|rd|th)?(?: of)? ${month}|${month} (\d{1,2})(?:st|nd|rd|th)?|\d{4}-(\d\d-\d\d))\b`,
  'gi',
);
const otherDate = /wrote|need|meant|tried|called|tracking|should have|move|promised|due|by /i;

function firstDate(text: string): string | null {
  for (const match of text.matchAll(dateShape)) {
    if (otherDate.test(sentenceAround(text, match.index))) continue;
    if (match[5] !== undefined) return match[5];
    const at = months.indexOf((match[2] ?? match[3] ?? '').toLowerCase()) + 1;
    return `${String(at).padStart(2, '0')}-${(match[1] ?? match[4] ?? '').padStart(2, '0')}`;
  }
  return null;
}

/** In this order: who asks for a refund often says that something was broken, and hardly the other way round. */
const issues: [RegExp, string][] = [
  [/refund|money back|money for|sent .* back|returned?\b|pay me back|gave .* back|back and/i, 'refund'],
  [/charged|billed|bill|payment|statement|deducted|twice from|the charge|money .* twice|invoice for/i, 'charged'],
  [/cancel|call off|mistake|stop order|don'?t send|do not ship|no longer need/i, 'cancel'],
  [
    /missing|incomplete|everything|half of order|without|no screws|empty|not in the box|forgot|not included|only one/i,
    'missing',
  ],
  [
    /wrong|did not order|not the one|not what|isn'?t what|somebody else|never bought|swap|instead|came in|something else/i,
    'wrong',
  ],
  [
    /broken|crack|damaged|in pieces|does not work|faulty|defective|dent|won'?t|smashed|leaks|died|ruined|torn|scratch/i,
    'damaged',
  ],
];

function issueOf(text: string): string {
  return issues.find(([words]) => words.test(text))?.[1] ?? 'late';
}

/** The text from the stop, semicolon or dash before a place to the one after it; a decimal point is no stop. */
function sentenceAround(text: string, at: number): string {
  const breaks = /[.;,] | - /g;
  let from = 0;
  for (const match of text.matchAll(breaks)) {
    if (match.index >= at) return text.slice(from, match.index);
    from = match.index + match[0].length;
  }
  return text.slice(from);
}
