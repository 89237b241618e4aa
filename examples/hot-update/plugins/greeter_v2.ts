import { definePlugin } from '@micrograft/contracts'

export const Plugin = definePlugin({
  name: 'greeter',
  type: 'handler',
  version: '2.0.0',
  newFunc: ({ state = { greeted: 0 } }: { state?: { greeted: number } }) => {
    let { greeted } = state
    return {
      endpoints: {
        Say: {
          Hello: ({ name }: { name: string }) => ({ msg: `Good day, ${name}`, nth: ++greeted }),
          Bye: ({ name }: { name: string }) => ({ msg: `Goodbye, ${name}` }),
        },
      },
      dehydrate: () => ({ greeted }),
      hydrate: (last: { greeted: number }) => void ({ greeted } = last),
      async [Symbol.asyncDispose]() {},
    }
  },
})
