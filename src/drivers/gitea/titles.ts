// Titles of changes at Gitea: how long they may be, and the prefix that makes one a draft.

/** As a server has them that was not configured otherwise (WORK_IN_PROGRESS_PREFIXES). */
const DRAFT = /^\s*(?:wip:|\[wip\])\s*/i
/** Gitea's column holds 255 letters; the prefix needs some of them. */
const MAX_TITLE = 240

/** Gitea has no other sign of a draft than its title. */
export function draftTitle(title: string): string {
  return `WIP: ${title}`
}

export function isDraftTitle(title: string): boolean {
  return DRAFT.test(title)
}

/** A title that makes no draft, of one line and not too long. */
export function plainTitle(title: string): string {
  let rest = title.replaceAll(/\s+/g, ' ').trim()
  while (DRAFT.test(rest)) rest = rest.replace(DRAFT, '')
  return rest.slice(0, MAX_TITLE).trim()
}
