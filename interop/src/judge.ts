import type { CaseResult, Feature, Outcome } from './cells.js'

/** Results of one combination, by case; either side's, as both call the same endpoints. */
export type Results = ReadonlyMap<string, CaseResult>

type Expectation = (result: CaseResult) => string | undefined

/** Most that a caller waits beyond its deadline, in milliseconds: the machine may be busy. */
const slackMs = 3000
export const deadlineMs = 300

const gives =
  (...expected: string[]): Expectation =>
  ({ got, error }) =>
    error || got.join() !== expected.join()
      ? `gave ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`
      : undefined

/** Each feature by its cases. */
const expectations: Readonly<Record<Feature, readonly (readonly [string, Expectation])[]>> = {
  unary: [['unary', gives('Hello Jörg <&>')]],
  error: [
    [
      'error',
      ({ error }) =>
        error?.code === 400 && error.id === 'greeter' && error.detail === 'bad name'
          ? undefined
          : 'did not fail with 400, greeter, "bad name"',
    ],
  ],
  metadata: [['metadata', gives('acme 42')]],
  deadline: [
    [
      'left',
      ({ got: [left] }) =>
        Number(left) > 0 && Number(left) <= 5000 ? undefined : `the handler had ${left} ms left`,
    ],
    [
      'deadline',
      ({ error, ms }) =>
        error?.code === 408 && ms >= deadlineMs - 50 && ms < deadlineMs + slackMs
          ? undefined
          : `did not fail with 408 after ${deadlineMs} ms`,
    ],
  ],
  'server stream': [['server stream', gives('1', '2', '3', '4', '5')]],
  'two-way stream': [['two-way stream', gives('a', 'b', 'c')]],
  event: [['event', ({ error }) => (error ? 'did not arrive' : undefined)]],
}

export function judge(feature: Feature, results: Results | undefined): Outcome {
  for (const [name, expectation] of expectations[feature]) {
    const result = results?.get(name)
    if (!result) return { works: false, why: `${name} was not run` }
    const why = expectation(result)
    if (why !== undefined) return { works: false, why: `${name} ${why}${told(result)}` }
  }
  return { works: true }
}

function told({ error, ms }: CaseResult): string {
  return `, after ${ms} ms${error ? `, with ${JSON.stringify(error)}` : ''}`
}
