import { register } from '@micrograft/plugin'

// Module code runs once, when the file is opened: it is what `init` is to a Go plugin.
console.log('world')
register({ symbols: { Hello } })

/** A symbol: what a host looks up by its name and calls. */
export function Hello(print: (line: string) => void = console.log): void {
  print('hello')
}
