const longest = 600;
const lines = 5;
/** What engines put before a line: llama.cpp's time and level, vLLM's process, level, time and place, or an ISO time. */
const prefixes = [
  /^\d+(\.\d+){2,} [A-Z] /,
  /^\([^)]* ?pid=\d+\) /,
  /^(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] /,
  /^\S*\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* /,
];
const telling = /error|fail|exception|invalid|unable|cannot|can't|not (found|supported|enough)|no such|denied|out of/i;

/**
 * The few last lines of a container's log that tell what went wrong, without what differs from one crash to the next:
 * the same crash must read the same, as every other text is written to the API server again.
 */
export function lastWords(log: string): string {
  const told = log
    .split('\n')
    .map((line) => prefixes.reduce((rest, prefix) => rest.replace(prefix, ''), line.trim()))
    .filter((line) => line !== '');
  const errors = told.filter((line) => telling.test(line));
  const kept = [...new Set(errors.length > 0 ? errors : told)].slice(-lines);
  return steady(kept.join('; '));
}

/** A message of the kubelet or the API server without what changes from one try to the next. */
export function steady(text: string): string {
  const same = text
    .replaceAll(/rpc error: code = \w+ desc = /g, '')
    .replaceAll(/\bpods "[^"]+" (is|are) /g, 'pods are ')
    .replaceAll(/:\d+->/g, '->')
    .replaceAll(/\bpid[ =]\d+/gi, 'pid')
    .replaceAll(/\b0x[0-9a-f]{4,}\b/gi, '0x…')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return same.length <= longest ? same : `…${same.slice(-longest)}`;
}
