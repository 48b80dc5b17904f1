import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../../process/errors.ts';

const run = promisify(execFile);

/** Paths of a certificate and its key, both PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** Who a certificate speaks for. */
export interface Identity {
  /** In OpenSSL's form, e.g. `/O=system:nodes/CN=system:node:node-1`. */
  subject: string;
  /** Subject alternative names, e.g. `DNS:localhost` or `IP:127.0.0.1`. */
  names?: string[];
}

/** A certificate authority in a folder of its own. */
export interface Pki {
  ca: KeyPair;
  /** The key that signs and checks service account tokens. */
  serviceAccountKey: string;
  /** Issues a certificate once; later calls with the same identity give the same files. */
  issue(name: string, identity: Identity): Promise<KeyPair>;
}

/** Opens the authority in `folder`, or makes one there. Needs the `openssl` command, 3.0 or newer. */
export async function openPki(folder: string): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const ca = { cert: join(folder, 'ca.crt'), key: join(folder, 'ca.key') };
  await once([ca.cert, ca.key], (part) =>
    newCertificate({ '-keyout': part(ca.key), '-out': part(ca.cert), '-subj': '/CN=cadre-local-cluster' }),
  );
  const serviceAccountKey = join(folder, 'service-accounts.key');
  await once([serviceAccountKey], (part) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return writeFile(part(serviceAccountKey), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  });
  return {
    ca,
    serviceAccountKey,
    async issue(name, identity) {
      const digest = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 10);
      const pair = { cert: join(folder, `${name}-${digest}.crt`), key: join(folder, `${name}-${digest}.key`) };
      await once([pair.cert, pair.key], (part) =>
        newCertificate({
          '-CA': ca.cert,
          '-CAkey': ca.key,
          '-keyout': part(pair.key),
          '-out': part(pair.cert),
          '-subj': identity.subject,
          '-addext': [
            'basicConstraints=critical,CA:FALSE',
            ...(identity.names?.length ? [`subjectAltName=${identity.names.join(',')}`] : []),
          ],
        }),
      );
      return pair;
    },
  };
}

/** The text of a kubeconfig with one cluster and one user; YAML readers take it, for it is JSON. */
export async function kubeconfig(server: string, ca: string, user: KeyPair): Promise<string> {
  const [authority, cert, key] = await Promise.all([ca, user.cert, user.key].map((path) => readFile(path, 'base64')));
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'cadre-local', cluster: { server, 'certificate-authority-data': authority } }],
      users: [{ name: 'admin', user: { 'client-certificate-data': cert, 'client-key-data': key } }],
      contexts: [{ name: 'cadre-local', context: { cluster: 'cadre-local', user: 'admin' } }],
      'current-context': 'cadre-local',
    },
    undefined,
    2,
  );
}

/** Writes files under other names first, so that an interrupted run leaves none that looks complete. */
async function once(files: string[], make: (part: (file: string) => string) => Promise<void>): Promise<void> {
  const there = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (there.every(Boolean)) return;
  const part = (file: string): string => `${file}.part`;
  try {
    await make(part);
    for (const file of files.toReversed()) await rename(part(file), file);
  } finally {
    await Promise.all(files.map((file) => rm(part(file), { force: true })));
  }
}

async function newCertificate(options: Record<string, string | string[]>): Promise<void> {
  const always = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650'.split(' ');
  const given = Object.entries(options).flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value]));
  try {
    await run('openssl', [...always, ...given]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UserError(
        'OpenSSLMissing',
        'the openssl command is missing: install it (Debian: apt-get install openssl)',
      );
    }
    throw error;
  }
}
