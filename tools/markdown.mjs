// What the checks of documents need to know of a Markdown text.

/** Fenced blocks, each with its language, its text and the line that it begins on. */
export function blocksOf(text) {
  const blocks = []
  for (const { index, 1: language, 2: code } of text.matchAll(/^ *```(\S*)[^\n]*\n([^]*?)^ *```$/gm))
    blocks.push({ language, code, line: lineAt(text, index) })
  return blocks
}

/** Links in the text outside of fenced blocks, each with what is shown, where it leads and its line. */
export function linksOf(text) {
  const prose = text.replace(/^ *```[^]*?^ *```$/gm, (block) => block.replace(/[^\n]/g, ' '))
  const inline = [...prose.matchAll(/\[((?:`[^`]*`|[^[\]`])*)\]\(([^()\s]+)\)/g)]
  const referenced = [...prose.matchAll(/^\[([^\]]+)\]: *(\S+)$/gm)]
  return [...inline, ...referenced].map(({ index, 1: shown, 2: target }) => ({
    shown,
    target,
    line: lineAt(text, index),
  }))
}

/** The anchors of a text's headings, as GitHub makes them. */
export function anchorsOf(text) {
  const seen = new Map()
  const anchors = new Set()
  const prose = text.replace(/^ *```[^]*?^ *```$/gm, '')
  for (const [, heading] of prose.matchAll(/^#{1,6} +(.*?) *#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
    const count = seen.get(anchor) ?? 0
    seen.set(anchor, count + 1)
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`)
  }
  return anchors
}

function lineAt(text, index) {
  return text.slice(0, index).split('\n').length
}
