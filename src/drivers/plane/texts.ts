// How our own comments are written at Plane: as HTML, known again by the pair of external ids that Plane keeps for whoever
// writes by its API. Nothing of it is on the page, and no person can copy it.

import { createHash } from 'node:crypto'

/** `external_source` of all that Orch writes. */
export const SOURCE = 'orch'
/** Plane's column holds 255 characters. */
const MAX_KEY = 200
/** A page with more is of no use to anybody. */
const MAX_TEXT = 65_000
/** Postgres and XML take none of these. */
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g

/** Cut where it is too long, always at the same place. HTML in it is text. */
export function toHtml(markdown: string): string {
  const text = markdown.toWellFormed().replaceAll(CONTROLS, '').replaceAll(/\r\n?/g, '\n')
  const fitted =
    text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT).toWellFormed()}\n\n… (cut, ${text.length} characters)`
  return htmlOf(fitted.split('\n'), 0) || '<p></p>'
}

function htmlOf(lines: string[], depth: number): string {
  const out: string[] = []
  let at = 0
  while (at < lines.length) {
    const block = blockAt(lines, at, depth)
    if (block.html !== '') out.push(block.html)
    at = block.next
  }
  return out.join('')
}

const ITEM = /^\s{0,3}(?:[-*+]|\d{1,9}[.)])\s+/

function blockAt(lines: string[], at: number, depth: number): { html: string; next: number } {
  const line = lines[at] ?? ''
  if (line.trim() === '') return { html: '', next: at + 1 }
  const fence = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1]
  if (fence !== undefined) {
    const end = lines.findIndex((one, index) => index > at && one.trim().startsWith(fence))
    const last = end === -1 ? lines.length : end
    return { html: `<pre><code>${escape(lines.slice(at + 1, last).join('\n'))}</code></pre>`, next: last + 1 }
  }
  const heading = /^(#{1,6})\s+(.*)$/.exec(line)
  if (heading) {
    const level = heading[1]?.length ?? 1
    return { html: `<h${level}>${inlineOf(heading[2] ?? '')}</h${level}>`, next: at + 1 }
  }
  if (/^\s{0,3}(-{3,}|\*{3,})\s*$/.test(line)) return { html: '<hr>', next: at + 1 }
  if (line.startsWith('>') && depth < 10) {
    const next = endOf(lines, at, (one) => one.startsWith('>'))
    const inner = lines.slice(at, next).map((one) => one.replace(/^> ?/, ''))
    return { html: `<blockquote>${htmlOf(inner, depth + 1)}</blockquote>`, next }
  }
  if (ITEM.test(line)) {
    const next = endOf(lines, at, (one) => ITEM.test(one))
    const items = lines.slice(at, next).map((one) => `<li><p>${inlineOf(one.replace(ITEM, ''))}</p></li>`)
    const tag = /^\s*\d/.test(line) ? 'ol' : 'ul'
    return { html: `<${tag}>${items.join('')}</${tag}>`, next }
  }
  if (line.startsWith('|') && /^\|[\s|:-]+\|?\s*$/.test(lines[at + 1] ?? '')) return tableAt(lines, at)
  const isText = (one: string): boolean =>
    one.trim() !== '' && !/^(\s{0,3}(`{3}|~{3})|#{1,6}\s|>)/.test(one) && !ITEM.test(one)
  const next = Math.max(at + 1, endOf(lines, at, isText))
  return { html: `<p>${lines.slice(at, next).map(inlineOf).join('<br>')}</p>`, next }
}

function endOf(lines: string[], at: number, belongs: (line: string) => boolean): number {
  let next = at
  while (next < lines.length && belongs(lines[next] ?? '')) next += 1
  return next
}

function tableAt(lines: string[], at: number): { html: string; next: number } {
  const next = endOf(lines, at, (one) => one.startsWith('|'))
  const rows = lines.slice(at, next).filter((_row, index) => index !== 1)
  const html = rows.map((row, index) => {
    const tag = index === 0 ? 'th' : 'td'
    const cells = row
      .trim()
      .replace(/^\|/, '')
      .replace(/\|$/, '')
      .split(/(?<!\\)\|/)
    const shown = cells.map((cell) => `<${tag}><p>${inlineOf(cell.trim().replaceAll('\\|', '|'))}</p></${tag}>`)
    return `<tr>${shown.join('')}</tr>`
  })
  return { html: `<table><tbody>${html.join('')}</tbody></table>`, next }
}

const SPANS =
  /`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])|\[([^[\]]+)\]\((https?:\/\/[^\s()<>"]+)\)|(https?:\/\/[^\s()<>"'`]+)/g

function inlineOf(line: string): string {
  let out = ''
  let last = 0
  for (const found of line.matchAll(SPANS)) {
    const [whole, code, bold, italic, text, address, bare] = found
    out += escape(line.slice(last, found.index))
    last = found.index + whole.length
    if (code !== undefined) out += `<code>${escape(code)}</code>`
    else if (bold !== undefined) out += `<strong>${escape(bold)}</strong>`
    else if (italic !== undefined) out += `<em>${escape(italic)}</em>`
    else out += `<a href="${escape(address ?? bare ?? '')}">${escape(text ?? bare ?? '')}</a>`
  }
  return out + escape(line.slice(last))
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** Plane holds each pair once in a whole project, so the issue is a part of it. */
export function externalId(issue: string, key: string): string {
  const whole = `${issue}:${key.toWellFormed()}`
  return whole.length <= MAX_KEY ? whole : `${issue}:${createHash('sha256').update(key).digest('hex')}`
}
