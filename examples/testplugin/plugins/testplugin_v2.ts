import { register } from '@micrograft/plugin'

console.log('world of v2')
register({ symbols: { Hello } })

export function Hello(print: (line: string) => void = console.log): void {
  print('hello from v2')
}
