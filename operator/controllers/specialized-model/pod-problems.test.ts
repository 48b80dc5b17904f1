import { describe, expect, it } from 'vitest';
import { ObjectStore } from '../../../kube/store.ts';
import type { Node } from '../../context.ts';
import { podProblem } from './pod-problems.ts';
import { aModel } from './testing/model-builder.ts';
import { aPod, type PodBuilder } from './testing/pod-builder.ts';

const pod = () => aPod(aModel().build());

function problem(builder: PodBuilder, nodes = new ObjectStore<Node>(), memoryLimit?: string) {
  return podProblem(builder.build(), { nodes, memoryLimit });
}

describe('a pod without a problem', () => {
  it.each([
    ['is new', pod()],
    [
      'pulls its images',
      pod()
        .scheduled()
        .withContainer('loader', { waiting: { reason: 'PodInitializing' } }),
    ],
    [
      'loads its weights',
      pod()
        .scheduled()
        .withContainer('loader', { running: { startedAt: '2026-01-01T00:00:12Z' } }),
    ],
    ['warms up', pod().loaded()],
    ['serves', pod().ready()],
    [
      'serves although it once crashed',
      pod()
        .ready()
        .withContainer(
          'engine',
          { running: { startedAt: '2026-01-01T00:00:20Z' } },
          { started: true, restartCount: 2, lastState: { terminated: { exitCode: 1 } } },
        ),
    ],
  ])('%s', (_, builder) => {
    expect(problem(builder)).toBeUndefined();
  });
});

describe('a pod that no node takes', () => {
  it('says so in the scheduler’s words, without those about preemption', () => {
    const words =
      '0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: 2 No victims found.';
    expect(problem(pod().unschedulable(words))).toEqual({
      reason: 'Unschedulable',
      message: 'no node takes the pod: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu.',
    });
  });

  it('is queued while it has scheduling gates', () => {
    expect(problem(pod().unschedulable('Scheduling is blocked', 'SchedulingGated'))?.reason).toBe('Queued');
  });
});

describe('a pod on a node that is not ready', () => {
  it('names the node', () => {
    const nodes = new ObjectStore<Node>();
    const conditions = [{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' }];
    nodes.set({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', uid: '1' }, status: { conditions } });
    expect(problem(pod().scheduled('node-1'), nodes)).toMatchObject({
      reason: 'NodeNotReady',
      message: expect.stringContaining('node-1'),
    });
  });
});

describe('an image that cannot be pulled', () => {
  const cause = 'failed to resolve reference "registry.example.com/engine:v1": not found';

  it('reads the same while the kubelet tries and while it waits', () => {
    const trying = pod()
      .scheduled()
      .withContainer('engine', {
        waiting: { reason: 'ErrImagePull', message: `rpc error: code = NotFound desc = ${cause}` },
      });
    const waiting = pod()
      .scheduled()
      .withContainer('engine', {
        waiting: {
          reason: 'ImagePullBackOff',
          message: `Back-off pulling image "registry.example.com/engine:v1": ErrImagePull: rpc error: code = NotFound desc = ${cause}`,
        },
      });
    expect(problem(trying)).toEqual({
      reason: 'ImagePullFailed',
      message: `image registry.example.com/engine:v1 of container engine cannot be pulled; correct spec.engine.image or give the node access: ${cause}`,
    });
    expect(problem(waiting)).toEqual(problem(trying));
  });

  it.each(['InvalidImageName', 'ErrImageNeverPull'])('may be one that never can: %s', (reason) => {
    expect(problem(pod().scheduled().withContainer('engine', { waiting: { reason } }))?.reason).toBe('ImagePullFailed');
  });
});

describe('a loader that fails', () => {
  const failed = (message: string) => pod().crashed('loader', { exitCode: 1, reason: 'Error', message });

  it.each([
    ['ChecksumMismatch', 'ChecksumMismatch'],
    ['ModelNotFound', 'ModelNotFound'],
    ['NotAGguf', 'NotAGguf'],
    ['InvalidModel', 'InvalidModel'],
    ['AdapterMismatch', 'AdapterMismatch'],
    ['InvalidAdapter', 'InvalidAdapter'],
    ['DownloadFailed', 'ModelDownloadFailed'],
    ['Unauthorized', 'ModelDownloadFailed'],
    ['DiskFull', 'ModelDownloadFailed'],
  ])('%s is told as %s', (code, reason) => {
    const found = problem(failed(JSON.stringify({ code, message: 'what happened' })));
    expect(found).toEqual({ reason, message: reason === code ? 'what happened' : `${code}: what happened` });
  });

  it('may say nothing that can be read', () => {
    expect(problem(failed('Killed'))).toEqual({
      reason: 'ModelDownloadFailed',
      message: 'the loader exits with code 1: Killed',
    });
  });

  it('keeps its reason while it tries again', () => {
    const end = { exitCode: 1, message: JSON.stringify({ code: 'ModelNotFound', message: 'there is none' }) };
    const again = pod()
      .scheduled()
      .withContainer('loader', { running: {} }, { ready: false, lastState: { terminated: end } });
    expect(problem(again)?.reason).toBe('ModelNotFound');
  });
});

describe('an engine that fails', () => {
  it('was killed for its memory: the message names the limit and what to change', () => {
    const builder = pod().crashed('engine', { exitCode: 137, reason: 'OOMKilled' });
    expect(problem(builder, undefined, '1Gi')).toEqual({
      reason: 'OutOfMemory',
      message:
        'the engine was killed, as it needs more than its limit of 1Gi: raise spec.resources.limits.memory, or lower spec.engine.maxModelLength or maxConcurrency',
    });
  });

  it('crashes with last words that read the same each time', () => {
    const words = (at: string) =>
      pod().crashed('engine', {
        exitCode: 1,
        reason: 'Error',
        message: `${at} I srv load_model: loading\n${at} E llama_model_load: error loading model\n${at} E srv exiting due to model loading error\n`,
      });
    expect(problem(words('0.00.018.416'))).toEqual({
      reason: 'CrashLooping',
      message:
        'container engine exits with code 1: llama_model_load: error loading model; srv exiting due to model loading error',
    });
    expect(problem(words('0.01.234.999'))).toEqual(problem(words('0.00.018.416')));
  });

  it.each([
    [
      'AdapterMismatch',
      'E llama_adapter_lora_init_from_file_ptr: failed to apply lora adapter: model arch and LoRA arch mismatch',
    ],
    [
      'AdapterMismatch',
      "E llama_adapter_lora_init_from_file_ptr: failed to apply lora adapter: LoRA tensor 'blk.39.attn_q.weight' does not exist in base model (hint: maybe wrong base model?)",
    ],
    [
      'InvalidAdapter',
      "E llama_adapter_lora_init_from_file_ptr: failed to apply lora adapter: LoRA tensor 'blk.29.attn_q.weight.lora_b' data is not within the file bounds, file is corrupted or incomplete",
    ],
    ['InvalidAdapter', 'ValueError: LoRA rank 128 is greater than max_lora_rank 64.'],
    ['InvalidAdapter', 'ValueError: vLLM does not yet support DoRA.'],
    ['PromptTemplateRefused', 'error: the supplied chat template is not supported: {{ a }'],
  ])('is told as %s where its words say so: %s', (reason, words) => {
    const found = problem(
      pod().crashed('engine', { exitCode: 1, reason: 'Error', message: `0.00.854.152 ${words}\n` }),
    );
    expect(found?.reason).toBe(reason);
    expect(found?.message).toContain(words.replace(/^E /, ''));
  });

  it('keeps its reason while it is started again, until it is well', () => {
    const end = { exitCode: 1, reason: 'Error', message: 'error: no' };
    const again = pod()
      .scheduled()
      .withContainer('engine', { running: {} }, { started: false, ready: false, lastState: { terminated: end } });
    expect(problem(again)?.reason).toBe('CrashLooping');
  });

  it('cannot be started when the image has no such program', () => {
    const builder = pod().crashed('engine', {
      exitCode: 128,
      reason: 'StartError',
      message: 'exec: "llama-server": executable file not found in $PATH',
    });
    expect(problem(builder)).toEqual({
      reason: 'CannotStart',
      message: 'container engine cannot be started: exec: "llama-server": executable file not found in $PATH',
    });
  });

  it.each([
    ['ends by itself without an error', { exitCode: 0, reason: 'Completed' }],
    ['is killed by its liveness probe', { exitCode: 137, reason: 'Error' }],
    ['ends when its liveness probe asks it to', { exitCode: 143, reason: 'Error' }],
  ])('is unhealthy when it %s', (_, end) => {
    expect(problem(pod().crashed('engine', end))?.reason).toBe('EngineUnhealthy');
  });

  it('is unhealthy when it served and does not any more', () => {
    expect(problem(pod().lost())?.reason).toBe('EngineUnhealthy');
  });
});
