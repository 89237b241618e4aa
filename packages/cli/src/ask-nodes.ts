import type { AdminClient, AdminEvent, AdminNode } from 'micrograft'

export interface NodeFlags {
  readonly node?: string
  readonly json?: boolean
}

/** What every command that asks running services says of itself. */
export const nodesHelp = `
The service is one that this user runs on this machine by "micrograft run" or its own run(). Where
several of its nodes run, each is asked after the other; --node chooses one by its id or process id.`

/**
 * Asks each node of `service` in turn, and gives what they answer; the first that refuses ends it.
 * @throws `not-found` where none runs.
 */
export async function askNodes<R>(
  service: string,
  { node }: NodeFlags,
  ask: (client: AdminClient, node: AdminNode) => Promise<R>,
  onEvent?: (event: AdminEvent) => void,
): Promise<readonly { readonly node: AdminNode; readonly answer: R }[]> {
  const { AdminClient, adminNodes, ServiceError } = await import('micrograft')
  const all = await adminNodes(service)
  const chosen = all.filter((each) => node === undefined || each.node === node || String(each.pid) === node)
  if (chosen.length === 0) {
    const others = (
      all.length > 0 ? all.map((each) => each.node) : (await adminNodes()).map((each) => each.service)
    ).join(', ')
    const what = all.length > 0 ? `no node ${node} of ${service}` : `no service ${service} that can be asked`
    throw new ServiceError('not-found', `there is ${what}; there are ${others || 'none'}`)
  }
  const answers: { node: AdminNode; answer: R }[] = []
  for (const each of chosen) {
    const client = await AdminClient.connect(each.path, onEvent)
    try {
      answers.push({ node: each, answer: await ask(client, each) })
    } finally {
      client[Symbol.dispose]()
    }
  }
  return answers
}
