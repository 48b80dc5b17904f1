import { Command, Option } from 'commander';
import {
  adapterTokenVariable,
  drainKeyVariable,
  enginePort,
  promptTemplateVariable,
  sidecarPort,
  tokenVariable,
} from '../crds/names.ts';
import { type EngineType, engineTypes, type Task, tasks } from '../crds/v1alpha1/specialized-model.ts';
import pkg from '../package.json' with { type: 'json' };
import { UserError } from '../process/errors.ts';
import { duration, httpUrl, port } from './flags.ts';
import { compileCommand, serveCommand } from './manifest-commands.ts';
import { type Common, must, start, subcommand } from './subcommand.ts';

/**
 * `cadre` and its commands. Each loads its program only when it is called: the loader and the sidecar stand beside every
 * model and must start fast and stay small.
 */
export function createProgram(): Command {
  const program = new Command('cadre')
    .description('Fleets of specialized models on Kubernetes.')
    .version(pkg.version)
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError('Run with --help to see what there is.');
  for (const command of [serveCommand(), compileCommand(), operator(), router(), load(), sidecar()]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  return program;
}

interface OperatorFlags extends Common {
  config: string;
  kubeconfig?: string;
  serviceAccountDir?: string;
  port: number;
}

function operator(): Command {
  return subcommand('operator', 'Watches SpecializedModels and RoutingPolicies and makes them so.')
    .addOption(must(new Option('--config <file>', 'configuration of the operator, YAML')))
    .option('--kubeconfig <file>', 'kubeconfig, outside a cluster (default: $KUBECONFIG, then ~/.kube/config)')
    .option(
      '--service-account-dir <dir>',
      'token, ca.crt and namespace, in a cluster (default: where kubelet puts them)',
    )
    .option('--port <port>', 'where /healthz, /readyz and /metrics are', port, 8080)
    .action(async ({ config: configFile, ...flags }: OperatorFlags) => {
      const { runOperator } = await import('../operator/main.ts');
      await runOperator({ ...flags, configFile, ...start('operator', flags) });
    });
}

function router(): Command {
  return subcommand('router', 'Serves the OpenAI API and divides requests as the policies say.')
    .addOption(must(new Option('--config <file>', 'configuration of the router, YAML')))
    .option('--kubeconfig <file>', 'kubeconfig, outside a cluster (default: $KUBECONFIG, then ~/.kube/config)')
    .option('--port <port>', 'where clients come', port, 8000)
    .option('--probe-port <port>', 'where /healthz, /readyz and /metrics are', port, 8080)
    .action(async (flags: Common & { config: string; kubeconfig?: string; port: number; probePort: number }) => {
      const { runRouter } = await import('../runtime/router/main.ts');
      const { config: configFile, kubeconfig, port: clientPort, probePort } = flags;
      await runRouter({ configFile, kubeconfig, port: clientPort, probePort, ...start('router', flags) });
    });
}

interface LoadFlags extends Common {
  uri: string;
  engine: EngineType;
  to: string;
  revision?: string;
  sha256?: string;
  hubEndpoint: string;
  shared: boolean;
  adapterUri?: string;
  adapterTo?: string;
  adapterRevision?: string;
  adapterSha256?: string;
  adapterShared: boolean;
  promptTemplateTo?: string;
}

function load(): Command {
  const does = "Brings a model's weights into place and verifies them, and its adapter and prompt template.";
  return subcommand('load', `${does} Tokens: $${tokenVariable}, $${adapterTokenVariable}.`)
    .addOption(must(new Option('--uri <uri>', 'pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH')))
    .addOption(must(new Option('--engine <type>', 'engine that will serve it').choices(engineTypes)))
    .addOption(
      must(new Option('--to <folder>', 'folder that receives the files; for pvc:// where the claim is mounted')),
    )
    .option('--revision <revision>', 'hf: commit, branch or tag')
    .option('--sha256 <hex>', 'SHA-256 of the one model file')
    .option('--hub-endpoint <url>', 'where hf:// comes from', httpUrl, 'https://huggingface.co')
    .option('--shared', 'other loaders may fill the same folder at the same time', false)
    .option('--adapter-uri <uri>', 'a LoRA adapter of the model, of the same forms as --uri')
    .option('--adapter-to <folder>', 'folder that receives the adapter; for pvc:// where its claim is mounted')
    .option('--adapter-revision <revision>', 'as --revision, of the adapter')
    .option('--adapter-sha256 <hex>', 'as --sha256, of the adapter')
    .option('--adapter-shared', 'as --shared, of the folder of the adapter', false)
    .option('--prompt-template-to <file>', `file that receives the text of $${promptTemplateVariable}`)
    .action(async ({ logLevel, ...flags }: LoadFlags) => {
      const { runLoader } = await import('../runtime/loader/main.ts');
      const { uri, engine, to, revision, sha256, hubEndpoint, shared } = flags;
      await runLoader({
        uri,
        engine,
        to,
        revision,
        sha256,
        hubEndpoint,
        shared,
        token: process.env[tokenVariable],
        adapter: adapterOf(flags),
        promptTemplate: promptTemplateOf(flags),
        ...start('loader', { logLevel }),
      });
    });
}

function adapterOf({ adapterUri, adapterTo, ...flags }: Omit<LoadFlags, 'logLevel'>) {
  if (adapterUri === undefined) return undefined;
  if (adapterTo === undefined) throw new UserError('InvalidFlags', '--adapter-uri needs --adapter-to, a folder');
  const { adapterRevision: revision, adapterSha256: sha256, adapterShared: shared } = flags;
  return { uri: adapterUri, to: adapterTo, revision, sha256, shared, token: process.env[adapterTokenVariable] };
}

function promptTemplateOf({ promptTemplateTo: to }: Pick<LoadFlags, 'promptTemplateTo'>) {
  if (to === undefined) return undefined;
  const text = process.env[promptTemplateVariable];
  if (!text) throw new UserError('InvalidFlags', `--prompt-template-to needs the text in $${promptTemplateVariable}`);
  return { to, text };
}

interface SidecarFlags extends Common {
  engine: EngineType;
  model: string;
  task: Task;
  engineUrl: string;
  port: number;
  drainDelay: number;
  drainDeadline: number;
}

function sidecar(): Command {
  const does = 'Stands beside an engine: warms it up, says when it is ready, drains it.';
  return subcommand('sidecar', `${does} Key that a call of /drain must show: $${drainKeyVariable}.`)
    .addOption(must(new Option('--engine <type>', 'engine beside it').choices(engineTypes)))
    .addOption(must(new Option('--model <name>', 'model name that the engine serves')))
    .addOption(must(new Option('--task <task>', 'what the model is for').choices(tasks)))
    .option('--engine-url <url>', 'address of the engine', httpUrl, `http://127.0.0.1:${enginePort}`)
    .option('--port <port>', 'where the sidecar listens', port, sidecarPort)
    .addOption(
      new Option('--drain-delay <duration>', 'how long a removed endpoint takes to reach every router')
        .argParser(duration)
        .default(5_000, '5s'),
    )
    .addOption(
      new Option('--drain-deadline <duration>', 'how long a drain may take in all')
        .argParser(duration)
        .default(60_000, '1m'),
    )
    .action(async ({ logLevel, drainDelay, drainDeadline, ...flags }: SidecarFlags) => {
      const { runSidecar } = await import('../runtime/sidecar/main.ts');
      const times = { drainDelayMs: drainDelay, drainDeadlineMs: drainDeadline };
      const drainKey = process.env[drainKeyVariable];
      await runSidecar({ ...flags, ...times, drainKey, ...start('sidecar', { logLevel }) });
    });
}
