import { isObject, type JsonObject } from '../../answers/document.ts';
import { ApiError } from '../../errors.ts';
import { NotTranslatable } from '../not-translatable.ts';

/** OpenAI's tools as Anthropic's. */
export function toolsOf(tools: unknown): JsonObject[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw new ApiError(400, 'invalid_type', '"tools" must be a list', { param: 'tools' });
  return tools.map((tool: unknown, at) => {
    const { type, function: named, cache_control: cache } = isObject(tool) ? tool : {};
    if (type !== 'function' || !isObject(named)) {
      throw new NotTranslatable(`tools[${at}]`, 'tools are translated where their type is "function"');
    }
    const { name, description, parameters, strict } = named;
    return {
      name,
      ...(typeof description === 'string' && { description }),
      input_schema: parameters ?? { type: 'object', properties: {} },
      ...(strict === true && { strict }),
      ...(isObject(cache) && { cache_control: cache }),
    };
  });
}

/** Whether and which tools are to be used; undefined where the client leaves that to the model. */
export function toolChoice(choice: unknown, parallel: unknown): JsonObject | undefined {
  const translated = choiceOf(choice);
  if (parallel !== false || translated?.['type'] === 'none') return translated;
  return { ...(translated ?? { type: 'auto' }), disable_parallel_tool_use: true };
}

function choiceOf(choice: unknown): JsonObject | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === 'auto' || choice === 'none') return { type: choice };
  if (choice === 'required') return { type: 'any' };
  const { type, function: named } = isObject(choice) ? choice : {};
  if (type === 'function' && isObject(named)) return { type: 'tool', name: named['name'] };
  throw new NotTranslatable('tool_choice', '"tool_choice" must be auto, none, required, or name one function');
}
