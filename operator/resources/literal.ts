/** Kubernetes would replace `$(NAME)` in arguments and values; `$$` stands for one `$`. */
export function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}
