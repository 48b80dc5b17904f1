import type { TemplateView } from '../../context.ts';
import type { Problem } from './reasons.ts';

/** What keeps a prompt template from being used. Undefined when all is well, `Waiting` while nobody has read it yet. */
export function promptTemplateProblem(
  { name, key }: { name: string; key: string },
  view: TemplateView,
): Problem | 'Waiting' | undefined {
  const field = 'spec.model.promptTemplate';
  const configMap = `ConfigMap ${name}`;
  if (view.state === 'Present') return undefined;
  if (view.state === 'Invalid') {
    return { reason: 'InvalidPromptTemplate', message: `${field}: key ${key} of ${configMap} ${view.problem}` };
  }
  if (view.state === 'Unknown') {
    if (view.problem === undefined) return 'Waiting';
    return {
      reason: 'PromptTemplateUnreadable',
      message: `${field}: ${configMap} could not be read: ${view.problem}`,
    };
  }
  const message =
    view.what === 'ConfigMap'
      ? `${field}: ${configMap} does not exist in the namespace; create it`
      : `${field}: ${configMap} has no key ${key}; add it or name another`;
  return { reason: 'PromptTemplateNotFound', message };
}
