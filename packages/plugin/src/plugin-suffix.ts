/** What every plugin file's name ends in. */
export const pluginSuffix = '.plugin.cjs'
