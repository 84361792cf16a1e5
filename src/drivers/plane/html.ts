// Plane keeps texts as HTML; everybody else here speaks Markdown. What comes in is read as data: what a page would not show
// (scripts, styles, comments, attributes) is dropped, everything else stays as text. Time grows with the text's length only.

interface Frame {
  tag: string
  /** Of a link its address, of a list item its box. */
  extra: string
  blocks: string[]
  inline: string[]
}

const INLINE: Record<string, string> = { strong: '**', b: '**', em: '*', i: '*', s: '~~', del: '~~', code: '`' }
const BLOCKS = new Set(
  'p div section article header footer main h1 h2 h3 h4 h5 h6 ul ol li pre blockquote table tr td th'.split(' '),
)
/** Their content is no text of the page. */
const HIDDEN = new Set(['script', 'style', 'template', 'iframe', 'noscript', 'title'])
/** What stands before an item of its kind ends the item before it. */
const SIBLINGS: Record<string, string[]> = { li: ['li'], tr: ['tr', 'td', 'th'], td: ['td', 'th'], th: ['td', 'th'] }
/** Deeper than anybody nests; what is deeper is read as if it were not nested. */
const MAX_DEPTH = 100

export function toMarkdown(html: string): string {
  const stack: Frame[] = [frame('')]
  for (const token of tokensOf(html)) {
    if (token.kind === 'text') addText(stack, token.text)
    else if (token.kind === 'open') open(stack, token.tag, token.text)
    else close(stack, token.tag)
  }
  while (stack.length > 1) pop(stack)
  return contentOf(stack[0] as Frame, '\n\n')
}

function frame(tag: string, extra = ''): Frame {
  return { tag, extra, blocks: [], inline: [] }
}

interface Token {
  kind: 'text' | 'open' | 'close'
  tag: string
  /** Decoded, or the inside of the tag. */
  text: string
}

function* tokensOf(html: string): Generator<Token> {
  const lower = html.toLowerCase()
  let at = 0
  while (at < html.length) {
    const start = html.indexOf('<', at)
    const end = start === -1 ? -1 : html.indexOf('>', start)
    // No tag ends any more: all that follows is text.
    if (end === -1) return yield { kind: 'text', tag: '', text: decode(html.slice(at)) }
    if (start > at) yield { kind: 'text', tag: '', text: decode(html.slice(at, start)) }
    if (html.startsWith('<!--', start)) {
      const last = html.indexOf('-->', start)
      if (last === -1) return
      at = last + 3
      continue
    }
    const [, slash, name] = /^<(\/?)([a-z][\w-]*)/i.exec(html.slice(start, start + 40)) ?? []
    if (name === undefined) {
      // A `<` of no tag, such as `<1m`.
      const isDeclaration = html[start + 1] === '!' || html[start + 1] === '?'
      if (!isDeclaration) yield { kind: 'text', tag: '', text: '<' }
      at = isDeclaration ? end + 1 : start + 1
      continue
    }
    const tag = name.toLowerCase()
    at = end + 1
    if (slash) yield { kind: 'close', tag, text: '' }
    else if (!HIDDEN.has(tag)) yield { kind: 'open', tag, text: html.slice(start + 1, end) }
    else {
      const last = lower.indexOf(`</${tag}`, at)
      if (last === -1) return
      at = last
    }
  }
}

function open(stack: Frame[], tag: string, inside: string): void {
  if (tag === 'br') return void top(stack).inline.push('\n')
  if (tag === 'hr') return pushBlock(top(stack), '---')
  if (tag === 'img') return void top(stack).inline.push(attribute(inside, 'alt'))
  if (tag === 'input') return tick(stack, inside)
  if (BLOCKS.has(tag) && top(stack).tag === 'p') pop(stack)
  for (const sibling of SIBLINGS[tag] ?? []) if (top(stack).tag === sibling) pop(stack)
  if (stack.length > MAX_DEPTH || !(BLOCKS.has(tag) || tag === 'a' || Object.hasOwn(INLINE, tag))) return
  const checked = attribute(inside, 'data-checked')
  const box = tag === 'li' && checked !== '' ? (checked === 'true' ? '[x] ' : '[ ] ') : ''
  stack.push(frame(tag, tag === 'a' ? attribute(inside, 'href') : box))
}

/** A box to tick stands for its item's. */
function tick(stack: Frame[], inside: string): void {
  const item = stack.findLast((one) => one.tag === 'li')
  if (item && attribute(inside, 'type') === 'checkbox') item.extra = /\schecked\b/i.test(inside) ? '[x] ' : '[ ] '
}

function close(stack: Frame[], tag: string): void {
  const at = stack.findLastIndex((one) => one.tag === tag)
  if (at > 0) while (stack.length > at) pop(stack)
}

function top(stack: Frame[]): Frame {
  return stack.at(-1) as Frame
}

function addText(stack: Frame[], text: string): void {
  const isRaw = stack.some(({ tag }) => tag === 'pre')
  top(stack).inline.push(isRaw ? text : text.replaceAll(/[\s\u00a0]+/g, ' '))
}

function pushBlock(at: Frame, block: string): void {
  flush(at)
  if (block !== '') at.blocks.push(block)
}

function flush(at: Frame): void {
  const raw = at.inline.join('')
  const text = at.tag === 'pre' ? raw : raw.replaceAll(/ *\n */g, '\n').trim()
  at.inline = []
  if (text !== '') at.blocks.push(text)
}

function contentOf(at: Frame, between: string): string {
  flush(at)
  return at.blocks.join(between)
}

/** Ends the last frame and puts it into the one around it. */
function pop(stack: Frame[]): void {
  const one = stack.pop() as Frame
  const around = top(stack)
  if (one.tag === 'a' || Object.hasOwn(INLINE, one.tag)) return popInline(stack, one, around)
  pushBlock(around, blockOf(one, around))
}

function popInline(stack: Frame[], one: Frame, around: Frame): void {
  const raw = one.blocks.length === 0 ? one.inline.join('') : contentOf(one, '\n\n')
  const text = raw.trim()
  if (text === '' || stack.some(({ tag }) => tag === 'pre')) return void around.inline.push(raw)
  const before = raw.slice(0, raw.length - raw.trimStart().length)
  const after = raw.slice(raw.trimEnd().length)
  const sign = INLINE[one.tag] ?? ''
  around.inline.push(before, one.tag === 'a' ? linkOf(text, one.extra) : `${sign}${text}${sign}`, after)
}

function linkOf(text: string, address: string): string {
  if (!/^(https?:\/\/|mailto:)[^\s<>()]+$/i.test(address) || address === text) return text
  return `[${text}](${address})`
}

function blockOf(one: Frame, around: Frame): string {
  switch (one.tag) {
    case 'h1':
    case 'h2':
    case 'h3':
    case 'h4':
    case 'h5':
    case 'h6': {
      const text = contentOf(one, ' ')
      return text === '' ? '' : `${'#'.repeat(Number(one.tag[1]))} ${text.replaceAll('\n', ' ')}`
    }
    case 'pre':
      return fenced(contentOf(one, '\n'))
    case 'blockquote':
      return prefixed(contentOf(one, '\n\n'), { first: '> ', rest: '> ' })
    case 'li':
      return prefixed(one.extra + contentOf(one, '\n'), { first: '- ', rest: '  ' })
    case 'ul':
    case 'ol':
      return listOf(one)
    case 'td':
    case 'th':
      return contentOf(one, ' ').replaceAll('\n', ' ').replaceAll('|', '\\|') || ' '
    case 'tr':
      return `| ${contentOf(one, ' | ')} |`
    case 'table':
      return tableOf(one)
    default:
      // An item's paragraphs, and a quote's, stay its own.
      return around.tag === 'td' || around.tag === 'th' ? contentOf(one, ' ') : contentOf(one, '\n\n')
  }
}

function fenced(code: string): string {
  const longest = Math.max(2, ...[...code.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(Math.min(longest + 1, 1_000))
  return `${fence}\n${code.replace(/\n$/, '')}\n${fence}`
}

function prefixed(text: string, { first, rest }: { first: string; rest: string }): string {
  return text
    .split('\n')
    .map((line, index) => (index === 0 ? first + line : (rest + line).trimEnd()))
    .join('\n')
}

function listOf(one: Frame): string {
  flush(one)
  if (one.tag === 'ul') return one.blocks.join('\n')
  return one.blocks.map((item, index) => item.replace(/^- /, `${index + 1}. `)).join('\n')
}

function tableOf(one: Frame): string {
  flush(one)
  const [head = '', ...rows] = one.blocks
  if (head === '') return ''
  const columns = head.split(/(?<!\\)\|/).length - 2
  return [head, `|${'---|'.repeat(Math.max(1, columns))}`, ...rows].join('\n')
}

function attribute(inside: string, name: string): string {
  const found = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(inside)
  return decode(found?.[1] ?? found?.[2] ?? found?.[3] ?? '')
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

function decode(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
    if (typeof name === 'string') return ENTITIES[name.toLowerCase()] ?? whole
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16)
    const isLetter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
    return isLetter ? String.fromCodePoint(code) : '\ufffd'
  })
}
