import { describe, expect, it } from 'vitest';
import { providerAddress } from './provider.ts';

const at = (url: string, allowedCIDRs: string[] = []) =>
  providerAddress({ type: 'OpenAICompatible', url, model: 'm' }, { allowedHosts: [], allowedCIDRs });

describe('the address of a provider', () => {
  it.each([
    'https://localhost/v1',
    'https://engine/v1',
    'https://engine.support.svc/v1',
    'https://engine.support.svc.cluster.local./v1',
    'https://10.1.2.3/v1',
    'https://0x0a010203/v1',
    'https://169.254.169.254/v1',
    'https://[::1]/v1',
    'https://[::ffff:10.0.0.1]/v1',
    'https://[fd00::1]/v1',
    'https://100.64.0.1/v1',
    'https://192.0.2.1/v1',
    'https://168.63.129.16/v1',
    'https://[::10.0.0.1]/v1',
    'https://[64:ff9b::10.0.0.1]/v1',
    'https://[64:ff9b:1::1]/v1',
    'https://[2002:a00:1::1]/v1',
    'https://[2001:db8::1]/v1',
    'https://[fec0::1]/v1',
    'https://engine./v1',
  ])('is refused inside the cluster: %s', (url) => {
    expect(at(url)).toMatchObject({ ok: false, reason: 'HostNotAllowed' });
  });

  it.each([
    'http://llm.example.com/v1',
    'https://user:secret@llm.example.com/v1',
    'https://llm.example.com/v1?key=1',
    '/v1',
  ])('is wrong: %s', (url) => {
    expect(at(url)).toMatchObject({ ok: false, reason: 'InvalidSpec' });
  });

  it.each(['https://8.8.8.8/v1', 'https://llm.example.com/v1', 'https://[2001:4860::1]/v1'])('is public: %s', (url) => {
    expect(at(url)).toMatchObject({ ok: true });
  });

  it('may be private where the configuration allows the range, and only there', () => {
    expect(at('https://10.1.2.3/v1', ['10.1.0.0/16'])).toMatchObject({ ok: true });
    expect(at('https://10.2.2.3/v1', ['10.1.0.0/16'])).toMatchObject({ ok: false });
    expect(at('https://[fd00::1]/v1', ['fd00::/8'])).toMatchObject({ ok: true });
    expect(at('https://[64:ff9b::10.1.2.3]/v1', ['10.1.0.0/16'])).toMatchObject({ ok: true });
    expect(at('https://[::1]/v1', ['0.0.0.0/0'])).toMatchObject({ ok: false });
  });

  it('that is refused has a message with what the address is', () => {
    const message = expect.stringMatching(/^address 10\.1\.2\.3 is private; .*providers\.allowedCIDRs/);
    expect(at('https://10.1.2.3/v1')).toMatchObject({ message });
  });

  it('loses the slash at its end', () => {
    expect(at('https://llm.example.com/v1/')).toMatchObject({ baseUrl: 'https://llm.example.com/v1' });
    expect(at('https://llm.example.com/')).toMatchObject({ baseUrl: 'https://llm.example.com' });
  });
});
