import { type Command, Option } from 'commander';
import { UserError } from '../process/errors.ts';
import type { CompileOptions } from './compile.ts';
import {
  type Endpoints,
  type Engines,
  endpoint,
  engine,
  type HostPort,
  hostPort,
  type SecretVariables,
  secretVariable,
  several,
} from './flags.ts';
import type { Given } from './manifests/given.ts';
import { type Common, must, start, subcommand } from './subcommand.ts';

interface ManifestFlags extends Common {
  file: readonly string[];
  endpoint?: Endpoints;
  engine?: Engines;
  secretEnv?: SecretVariables;
}

/** A command that reads manifests. */
function onManifests(name: string, description: string): Command {
  return subcommand(name, description)
    .addOption(
      must(
        new Option(
          '-f, --file <path>',
          'file or folder with RoutingPolicies, SpecializedModels and Secrets; may be given several times',
        ).argParser(several),
      ),
    )
    .option(
      '--endpoint <name=url>',
      'where a SpecializedModel answers: NAME=URL or NAMESPACE/NAME=URL; several times for several, or for one with more than one endpoint',
      endpoint,
    )
    .option(
      '--engine <name=type>',
      'engine of a SpecializedModel without manifest: VLLM (as without this) or LlamaCpp',
      engine,
    )
    .option(
      '--secret-env <name/key=variable>',
      'value of a key of a Secret, from an environment variable: NAME/KEY=VARIABLE or NAMESPACE/NAME/KEY=VARIABLE',
      secretVariable,
    );
}

/** `cadre serve` */
export function serveCommand(): Command {
  return onManifests(
    'serve',
    'Runs the router without Kubernetes, from the same manifests, read again when they change.',
  )
    .addOption(
      new Option('--listen <host:port>', 'where clients come; /healthz, /readyz and /metrics are there too')
        .argParser(hostPort)
        .default({ host: '127.0.0.1', port: 8080 }, '127.0.0.1:8080'),
    )
    .option('--config <file>', 'configuration of the router, YAML, where it is to differ from the defaults')
    .action(async (flags: ManifestFlags & { listen: HostPort; config?: string }) => {
      const { runServe } = await import('./serve.ts');
      const { file: paths, listen, config: configFile } = flags;
      await runServe({ paths, given: givenBy(flags), listen, configFile, ...start('router', flags) });
    });
}

interface CompileFlags extends ManifestFlags {
  output: CompileOptions['form'];
  showKeys: boolean;
}

/** `cadre compile` */
export function compileCommand(): Command {
  return onManifests('compile', 'Prints the route table that manifests make, or what is wrong with them.')
    .addOption(new Option('-o, --output <form>', 'form of the table').choices(['yaml', 'json']).default('yaml'))
    .option('--show-keys', "print providers' keys too", false)
    .action(async ({ file: paths, output: form, showKeys, ...flags }: CompileFlags) => {
      const { routeTable } = await import('./compile.ts');
      const { text, warnings } = routeTable({ paths, given: givenBy({ file: paths, ...flags }), form, showKeys });
      for (const warning of warnings) process.stderr.write(`cadre: warning: ${warning}\n`);
      process.stdout.write(text);
    });
}

function givenBy({ endpoint: endpoints, engine: engines, secretEnv }: ManifestFlags): Omit<Given, 'allowedCIDRs'> {
  const secrets = new Map<string, Map<string, string>>();
  for (const [name, variables] of secretEnv ?? []) {
    const values = [...variables].map(([key, variable]): [string, string] => [
      key,
      valueOf(variable, `${name}/${key}`),
    ]);
    secrets.set(name, new Map(values));
  }
  return { endpoints: endpoints ?? new Map(), engines: engines ?? new Map(), secrets };
}

function valueOf(variable: string, secret: string): string {
  const value = process.env[variable];
  if (!value)
    throw new UserError('InvalidFlags', `--secret-env ${secret}=${variable}: $${variable} is not set; export it`);
  return value;
}
