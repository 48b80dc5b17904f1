import { conflictWithLabels } from '../answers/labels.ts';
import { ApiError } from '../errors.ts';
import { classifications, embeddings } from '../operations.ts';
import { type Principal, publicNames } from '../routes/table.ts';
import { classifies, noLabels } from './classify-texts.ts';
import { type Exchange, set } from './exchange.ts';

/** At most so many names are listed for a model that is not known. */
const maxNames = 50;

/** Model name → route. 404 with the names that this key may use; 400 for what the route can't do. */
export function match(exchange: Exchange): void {
  const principal = set(exchange.principal, 'principal');
  const route = principal.routes.get(exchange.model);
  if (!route) throw modelNotFound(exchange.model, principal);
  exchange.route = route;
  if (exchange.operation === classifications && !classifies(route)) throw noLabels(exchange.model);
  if (!route.labels || exchange.operation === embeddings) return;
  const field = conflictWithLabels(exchange.body);
  if (field !== undefined) {
    const message = `model "${exchange.model}" answers with one of its labels only: "${field}" can't be had with it`;
    throw new ApiError(400, 'unsupported_parameter', message, { param: field });
  }
}

/** The same for a model that is unknown and for one that this key may not use: nobody learns what others have. */
export function modelNotFound(model: string, principal: Principal): ApiError {
  const names = publicNames(principal).map(({ name }) => name);
  const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : '';
  const usable = names.length === 0 ? 'none' : `${names.slice(0, maxNames).join(', ')}${more}`;
  const shown = model.length > 128 ? `${model.slice(0, 128)}…` : model;
  const message = `model "${shown}" does not exist, or this key may not use it; it may use: ${usable}`;
  return new ApiError(404, 'model_not_found', message, { param: 'model' });
}
