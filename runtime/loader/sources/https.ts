import type { HttpsUri } from '../../../crds/model-uri.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { HttpGet, HttpResponse } from '../http.ts';
import { loadError } from '../report.ts';
import type { ModelSource } from './model-source.ts';

/** One file from a web server, known by its SHA-256. */
export function httpsSource(field: SourceField, uri: HttpsUri, sha256: string, get: HttpGet): ModelSource {
  return {
    field,
    get,
    list: () =>
      Promise.resolve({
        files: [{ path: uri.fileName, url: uri.url, digest: { algorithm: 'sha256', hex: sha256 } }],
      }),
    refusal: ({ status }: HttpResponse) => {
      if (status === 401 || status === 403) {
        return loadError(
          'Unauthorized',
          `${uri.host} answered ${status} for ${uri.url}: set ${field}.credentials to a Secret with a token that may read it`,
        );
      }
      if (status === 404 || status === 410)
        return loadError(
          'ModelNotFound',
          `${uri.host} answered ${status}: there is no ${uri.url}; correct ${field}.uri`,
        );
      return loadError('DownloadFailed', `${uri.host} answered ${status} for ${uri.url}`);
    },
  };
}
