import { createServer, type Server } from 'node:net';
import { UserError } from '../../process/errors.ts';

/** TCP ports by name. */
export type Ports<Name extends string> = Record<Name, number>;

/**
 * A free port of `host` for each name, all different. A port that is asked for by number is taken as it is, or a
 * `UserError` names it when another process listens there.
 */
export async function freePorts<Name extends string>(
  names: readonly Name[],
  asked: { [name in Name]?: number | undefined } = {},
  host = '127.0.0.1',
): Promise<Ports<Name>> {
  const held: Server[] = [];
  const ports = {} as Ports<Name>;
  try {
    // All are held until the last is known, else the same port may come twice.
    for (const name of names) {
      const server = createServer();
      held.push(server);
      ports[name] = await hold(server, host, asked[name] ?? 0, name);
    }
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  return ports;
}

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  return (await freePorts(['port'])).port;
}

function hold(server: Server, host: string, port: number, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(
        new UserError(
          'PortTaken',
          `port ${port} of ${host} is taken, ${name} can't listen there: free it, or leave the port out and a free one is chosen`,
        ),
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}
