const name = '__importMetaUrl'

/** Gives `import.meta.url`, `.filename` and `.dirname` a meaning in the output, which is no ES module: they are those of the plugin file. */
export const importMeta: Readonly<Record<string, string>> = {
  'import.meta.url': name,
  'import.meta.filename': '__filename',
  'import.meta.dirname': '__dirname',
}

/** What `declareUrl` asks the host for. */
export const urlModule = 'node:url'

/** The declaration of what `import.meta.url` became, for code in which it occurs. */
export function declareUrl(code: string): string | undefined {
  return code.includes(name)
    ? `var ${name}=require("${urlModule}").pathToFileURL(__filename).href;`
    : undefined
}
