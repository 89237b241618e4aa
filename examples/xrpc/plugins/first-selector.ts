// A selector of one's own: always the first node that the registry names.

import {
  definePlugin,
  ServiceError,
  type ComponentContext,
  type Node,
  type Selection,
  type Selector,
} from '@micrograft/contracts'

export const Plugin = definePlugin({
  name: 'first',
  type: 'selector',
  version: '1.0.0',
  newFunc: (_options: object, context: ComponentContext): Selector => {
    context.log.info('first selector made')
    return {
      name: 'first',
      select: async (service) =>
        selectionOf(
          service,
          (await context.use('registry').get(service)).flatMap(({ nodes }) => nodes),
        ),
      [Symbol.asyncDispose]: async () => undefined,
    }
  },
})

function selectionOf(service: string, nodes: readonly Node[]): Selection {
  return {
    nodes,
    endpoints: [],
    next() {
      const [first] = nodes
      if (!first) throw new ServiceError('not-found', `no node of ${service} is registered`)
      return first
    },
    mark: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}
