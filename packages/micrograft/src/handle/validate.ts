import { ServiceError, type Schema } from '@micrograft/contracts'

/**
 * `value` as `schema` gives it back.
 * @throws `bad-request`, naming each field and what is wrong with it.
 */
export async function validate(schema: Schema | undefined, value: unknown, what: string): Promise<unknown> {
  if (!schema) return value
  const result = await schema['~standard'].validate(value)
  if (!result.issues) return result.value
  const shown = result.issues.slice(0, 10).map(({ message, path }) => {
    const field = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return field === '' ? message : `${field}: ${message}`
  })
  throw new ServiceError('bad-request', `${what} is not valid: ${shown.join('; ')}`)
}
