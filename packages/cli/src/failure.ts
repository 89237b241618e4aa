import { ServiceError } from '@micrograft/contracts'
import { PluginError, type PluginProblem } from '@micrograft/plugin'
import { CommanderError, type Command } from 'commander'

/** What went wrong, as it is printed, and the exit status that tells it. */
export interface Failure {
  /** One of the codes of `@micrograft/plugin`, or `usage`. */
  readonly code: string
  /** Empty where there is nothing left to say. */
  readonly message: string
  readonly path: string | undefined
  readonly problems: readonly (PluginProblem | { readonly code: string; readonly message: string })[]
  /** 0 after help or a version, 1 for a refusal, 2 for wrong usage. */
  readonly status: number
}

export function failureOf(error: unknown, program: Command): Failure {
  return error instanceof CommanderError ? usageFailure(error, program) : refusalOf(error)
}

/** @throws `error` itself where it is no refusal: that is a bug, whose stack is wanted. */
export function refusalOf(error: unknown): Failure {
  if (error instanceof ServiceError) {
    const { code, message } = error
    return { code, message, path: undefined, problems: [{ code, message }], status: 1 }
  }
  if (error instanceof AggregateError) return severalOf(error)
  if (!(error instanceof PluginError)) throw error
  const { code, message, path, problems } = error
  return { code, message, path, problems, status: 1 }
}

/** What a service that does not stop cleanly rejects with has several errors in it. */
function severalOf({ message, errors }: AggregateError): Failure {
  const problems = errors
    .map((each) => ServiceError.from(each))
    .map(({ code, message: text }) => ({ code, message: text }))
  const said = message || problems.map((each) => each.message).join('; ')
  return { code: problems[0]?.code ?? 'internal', message: said, path: undefined, problems, status: 1 }
}

function usageFailure({ code: kind, message: text, exitCode }: CommanderError, program: Command): Failure {
  const printed = ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(kind)
  const message = printed ? '' : sentence(text, kind, program)
  return {
    code: 'usage',
    message,
    path: undefined,
    problems: [{ code: 'usage', message }],
    status: exitCode === 0 ? 0 : 2,
  }
}

/** Commander's message on one line, with what to do. */
function sentence(text: string, kind: string, program: Command): string {
  const message = text
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.+)\?\)$/, '; did you mean $1?')
    .replace(/\.$/, '')
  if (message.endsWith('?')) return message
  const names = program.commands.map((each) => each.name())
  if (kind === 'commander.unknownCommand') return `${message}; there are ${names.join(', ')}`
  const command = names.find((name) => name === program.args[0])
  const greedy = program.commands
    .find((each) => each.name() === command)
    ?.options.find((each) => each.variadic && program.args.includes(each.long as string))
  const hint =
    kind === 'commander.missingArgument' && greedy
      ? `${greedy.long} takes every name after it, so put it last`
      : `see micrograft ${command === undefined ? '' : `${command} `}--help`
  return `${message}; ${hint}`
}
