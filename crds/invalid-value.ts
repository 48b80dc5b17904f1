/** A value of the API that has the right type and the wrong content. The message says what is wrong and what is right. */
export class InvalidValueError extends Error {
  readonly code = 'InvalidValue';
  override readonly name = 'InvalidValueError';
}
