import { ServiceError, type Account, type Resource, type Rule } from '@micrograft/contracts'

/** The rules of an auth, and what they come to. */
export class Rules {
  readonly #rules = new Map<string, Rule>()

  /** @throws `bad-request` for a rule that is none. */
  put(rule: Rule): void {
    if (!isRule(rule))
      throw new ServiceError(
        'bad-request',
        `the rule ${JSON.stringify((rule as Partial<Rule> | null)?.id)} needs an id, a scope, a resource with type, name and endpoint, an access of granted or denied, and a priority`,
      )
    this.#rules.set(rule.id, structuredClone(rule))
  }

  delete(id: string): void {
    this.#rules.delete(id)
  }

  /** The highest priority first. */
  get all(): readonly Rule[] {
    return [...this.#rules.values()]
      .sort((a, b) => b.priority - a.priority || (a.access === 'denied' ? -1 : 1))
      .map((rule) => structuredClone(rule))
  }

  /** @throws `unauthenticated` where there is no account and one could help, `forbidden`. */
  verify(account: Account | undefined, resource: Resource): void {
    const first = this.all.find((rule) => fits(rule.resource, resource) && inScope(rule.scope, account))
    if (first?.access === 'granted') return
    const what = `${resource.type} ${resource.name} ${resource.endpoint}`
    if (!account) throw new ServiceError('unauthenticated', `${what} needs an account; send a token`)
    throw new ServiceError(
      'forbidden',
      `${account.id} may not use ${what}${first ? `: the rule ${first.id} denies it` : ': no rule grants it'}`,
    )
  }
}

function isRule(value: unknown): value is Rule {
  const { id, scope, resource, access, priority } = (value ?? {}) as Partial<Record<keyof Rule, unknown>>
  const { type, name, endpoint } = (resource ?? {}) as Partial<Record<keyof Resource, unknown>>
  return (
    [id, scope, type, name, endpoint].every((each) => typeof each === 'string') &&
    id !== '' &&
    (access === 'granted' || access === 'denied') &&
    Number.isFinite(priority)
  )
}

function inScope(scope: string, account: Account | undefined): boolean {
  if (scope === '') return true
  return account !== undefined && (scope === '*' || account.scopes.includes(scope))
}

function fits(pattern: Resource, resource: Resource): boolean {
  return (['type', 'name', 'endpoint'] as const).every((part) => matches(pattern[part], resource[part]))
}

function matches(pattern: string, value: string): boolean {
  return (
    pattern === '*' || pattern === value || (pattern.endsWith('*') && value.startsWith(pattern.slice(0, -1)))
  )
}
