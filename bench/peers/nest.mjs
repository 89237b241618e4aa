// NestJS microservices over TCP. Decorators are functions: without a compiler they are called as such.

import 'reflect-metadata'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ClientProxyFactory, EventPattern, MessagePattern, Payload, Transport } from '@nestjs/microservices'
import { firstValueFrom, from } from 'rxjs'
import { freePort } from './free-port.mjs'

export async function serve({ message, received }) {
  class Echo {
    call(value) {
      return value
    }
    stream() {
      return from(
        (async function* () {
          for (let n = message.n; ; n++) {
            yield { ...message, n }
            // Nothing says that nobody reads: without a turn in between nothing would leave.
            if (n % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
          }
        })(),
      )
    }
    news() {
      received()
    }
  }
  const decorate = (decorator, method) => {
    Payload()(Echo.prototype, method, 0)
    decorator(Echo.prototype, method, Object.getOwnPropertyDescriptor(Echo.prototype, method))
  }
  decorate(MessagePattern('call'), 'call')
  decorate(MessagePattern('stream'), 'stream')
  decorate(EventPattern('news'), 'news')
  Controller()(Echo)
  function App() {}
  Module({ controllers: [Echo] })(App)
  const port = await freePort()
  const app = await NestFactory.createMicroservice(App, {
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
    logger: false,
  })
  await app.listen()
  return `127.0.0.1:${port}`
}

export async function connect(address) {
  const [host, port] = address.split(':')
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host, port: Number(port) },
  })
  await client.connect()
  return {
    call: (value) => firstValueFrom(client.send('call', value)),
    stream: () => iterate(client.send('stream', {})),
    publish: (value) => firstValueFrom(client.emit('news', value), { defaultValue: undefined }),
  }
}

/** What an observable gives, for a loop. */
async function* iterate(observable) {
  const ready = []
  let wake
  const subscription = observable.subscribe((value) => {
    ready.push(value)
    wake?.()
  })
  try {
    for (;;) {
      for (const each of ready.splice(0)) yield each
      if (ready.length === 0) await new Promise((resolve) => (wake = resolve))
    }
  } finally {
    subscription.unsubscribe()
  }
}
