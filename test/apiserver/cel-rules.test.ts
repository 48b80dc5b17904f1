import { describe, expect, it } from 'vitest';
import { type Changes, changed } from '../support/api-cases/change.ts';
import { routingPolicyCases } from '../support/api-cases/routing-policy.ts';
import { specializedModelCases } from '../support/api-cases/specialized-model.ts';
import { type Answer, useCrdServer } from '../support/crd-server.ts';

const server = useCrdServer('rules');

describe.each([
  { cases: specializedModelCases, plural: 'specializedmodels' },
  { cases: routingPolicyCases, plural: 'routingpolicies' },
])('kube-apiserver, asked for a $cases.kind,', ({ cases, plural }) => {
  const { base, rules, bounds, unknown } = cases;
  const create = (changes: Changes): Promise<Answer> =>
    server.call('POST', `/${plural}?dryRun=All&fieldValidation=Strict`, changed(base, changes));

  it('takes the one to which the cases make their changes', async () => {
    expect(await create({})).toMatchObject({ status: 201 });
  });

  // That a rule of the schema has no case here, api-cases.test.ts notices.
  describe.each(rules)('$field: $message', ({ field, message, keeps, breaks }) => {
    it.each(keeps)('takes %j', async (changes) => {
      expect(await create(changes)).toMatchObject({ status: 201 });
    });

    it.each(breaks)('refuses %j', async (changes) => {
      const answer = await create(changes);
      expect(answer.status).toBe(422);
      expect(problems(answer)).toContainEqual({ field, message: expect.stringContaining(`: ${message}`) });
      expectPlainWords(answer);
    });
  });

  it.each(bounds)('knows that $what', async ({ changes, field, message }) => {
    const answer = await create(changes);
    expect(answer.status).toBe(422);
    expect(answer.body.details?.causes).toContainEqual(
      expect.objectContaining({ field, message: expect.stringContaining(message) }),
    );
    expectPlainWords(answer);
  });

  it.each(Object.entries(unknown))('names the field %s, which does not exist', async (field, changes) => {
    expect(await create(changes)).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining(`unknown field "${field}"`) },
    });
  });
});

/** The causes of a refusal, list indices left out. */
function problems({ body }: Answer): { field: string; message: string }[] {
  return (body.details?.causes ?? []).map(({ field = '', message }) => ({
    field: field.replaceAll(/\[[0-9]+\]/g, '[]'),
    message,
  }));
}

/** No rule fails in the middle: that would show the user an error of ours instead of one of theirs. */
function expectPlainWords({ body }: Answer): void {
  expect(body.message).not.toMatch(/no such key|evaluating rule|conversion error|no such overload|failed rule/);
}
