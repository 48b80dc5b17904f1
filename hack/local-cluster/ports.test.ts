import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePorts } from './ports.ts';

describe('ports', () => {
  it('are all different, and those asked for are given', async () => {
    const { a: asked } = await freePorts(['a']);
    const ports = await freePorts(['a', 'b', 'c'], { b: asked });
    expect(ports.b).toBe(asked);
    expect(new Set(Object.values(ports)).size).toBe(3);
  });

  it('that are taken are named, with what wanted them', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(freePorts(['etcd'], { etcd: port })).rejects.toThrow(
      `port ${port} of 127.0.0.1 is taken, etcd can't listen there`,
    );
    server.close();
  });
});
