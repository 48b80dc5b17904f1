import { describe, expect, it } from 'vitest';
import { parseRoutingPolicy, parseSpecializedModel } from '../../../crds/parse.ts';
import { kinds } from '../../../hack/generate/kinds.ts';
import { rulesWithin } from '../../../hack/generate/rules-within.ts';
import { structuralSchema } from '../../../hack/generate/schema.ts';
import { changed } from './change.ts';
import { routingPolicyCases } from './routing-policy.ts';
import { specializedModelCases } from './specialized-model.ts';

describe.each([
  { cases: specializedModelCases, parse: parseSpecializedModel },
  { cases: routingPolicyCases, parse: parseRoutingPolicy },
])('the rules of $cases.kind', ({ cases, parse }) => {
  const { base, rules, bounds, kind } = cases;

  it('have each an object that keeps it and one that breaks it, and nothing else has', () => {
    const definition = kinds.find((one) => one.kind === kind);
    const schema = definition && structuralSchema(definition.type);
    const inSchema = schema ? rulesWithin(schema).map(({ field, message }) => `${field}: ${message}`) : [];
    const inCases = rules.filter(({ keeps, breaks }) => keeps.length > 0 && breaks.length > 0);
    expect(inCases.map(({ field, message }) => `${field}: ${message}`).toSorted()).toEqual(inSchema.toSorted());
  });

  it('are kept by an object without any problem', () => {
    expect(parse(base)).toMatchObject({ ok: true });
  });

  describe.each(rules)('$field: $message', ({ field, message, keeps, breaks }) => {
    it.each(keeps)('is kept by %j', (changes) => {
      expect(parse(changed(base, changes))).toMatchObject({ ok: true });
    });

    it.each(breaks)('is broken by %j, and the operator says so in the same words', (changes) => {
      const parsed = parse(changed(base, changes));
      const problems = parsed.ok ? [] : parsed.problems.map((problem) => problem.replaceAll(/\[[0-9]+\]/g, '[]'));
      expect(problems).toContain(`${field}: ${message}`);
    });
  });

  it.each(bounds)('$what: the operator names the field too', ({ changes, field }) => {
    const parsed = parse(changed(base, changes));
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.split(': ')[0])).toContain(field);
  });
});
