// What is hidden in our own texts at GitHub and Gitea, which know no keys of comments, and how long they may be.

import { createHash } from 'node:crypto'

/** GitHub's own limit is 65,536 characters, and what is hidden at the end needs some of them; Gitea has none, and more is of no use. */
const MAX_TEXT = 65_000
const MARKER = /\n*<!-- orch:(\S+) -->\s*$/

/** The text with its key at the end, where no reader of the page sees it. */
export function marked(body: string, key: string): string {
  return `${fitted(body)}\n\n<!-- orch:${encoded(key)} -->`
}

/** Whether the text is the one of that key. Only the last marker counts: a text may quote others. */
export function hasKey(body: string, key: string): boolean {
  return MARKER.exec(body)?.[1] === encoded(key)
}

export function isMarked(body: string): boolean {
  return MARKER.test(body)
}

/** Whether Orch has written it: vendors compare logins without their case. */
export function isSelf({ login }: { login: string }, self: string): boolean {
  return login.toLowerCase() === self.toLowerCase()
}

export function unmarked(body: string): string {
  return body.replace(MARKER, '')
}

/** Cut where it is too long, always at the same place. */
export function fitted(body: string): string {
  return body.length <= MAX_TEXT ? body : `${body.slice(0, MAX_TEXT)}\n\n… (cut, ${body.length} characters)`
}

/** As they keep it: their pages write line ends of two characters, and drop what is blank around. */
export function sameText(a: string, b: string): boolean {
  return plain(a) === plain(b)
}

function plain(text: string): string {
  return text.replaceAll('\r\n', '\n').trim()
}

/** No space and no end of a comment in it; a long one is known by its hash. */
function encoded(key: string): string {
  const safe = encodeURIComponent(key.toWellFormed())
  return safe.length <= 200 ? safe : createHash('sha256').update(key).digest('hex')
}
