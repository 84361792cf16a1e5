// Labels at Gitea are numbers. A name is looked up among the repository's and its organisation's, and what was found is
// remembered for a while; a number may have got another name meanwhile, so what was put on is checked by its name.

import { z } from 'zod'
import type { Api } from './connection.ts'
import { label, read, type WireLabel } from './wire.ts'

/** People rename labels now and then; a view is brought up to date many times an hour. */
const TTL_MS = 300_000

export interface Labels {
  names(): Promise<string[]>
  /** Puts on those that exist and gives the names that don't. `at`: what the issue has. */
  ensureOn(issue: number, request: { names: readonly string[]; at: readonly WireLabel[] }): Promise<string[]>
  ensureOff(issue: number, request: { names: readonly string[]; at: readonly WireLabel[] }): Promise<void>
  forget(): void
}

export function makeLabels(api: Api): Labels {
  let known: { list: WireLabel[]; until: number } | null = null
  const all = async (): Promise<WireLabel[]> => {
    if (known && known.until > api.now()) return known.list
    const list = await readLabels(api)
    known = { list, until: api.now() + TTL_MS }
    return list
  }
  const forget = (): void => void (known = null)
  return {
    names: async () => (await readLabels(api)).map(({ name }) => name),
    async ensureOn(issue, { names, at }) {
      const wanted = names.filter((name) => !find(at, name))
      if (wanted.length === 0) return []
      const first = await putOn(api, issue, { wanted, list: await all(), at })
      if (first.length === 0) return []
      // Made or renamed since they were read.
      forget()
      return putOn(api, issue, { wanted: first, list: await all(), at })
    },
    async ensureOff(issue, { names, at }) {
      for (const one of at.filter(({ name }) => names.some((off) => isSame(off, name)))) await takeOff(api, issue, one)
    },
    forget,
  }
}

export function find<T extends { name: string }>(list: readonly T[], name: string): T | undefined {
  return list.find((one) => isSame(one.name, name))
}

/** Labels differ by more than the case of their letters. */
function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

async function readLabels(api: Api): Promise<WireLabel[]> {
  const doing = `list the labels of ${api.ref}`
  const own = await api.list({ path: '/labels', doing, schema: label, key: ({ id }) => id })
  const [owner = ''] = api.ref.split('/')
  // A person's account has none, and an organisation may hide them from us.
  const shared = await api.list({
    path: `//orgs/${owner}/labels`,
    doing,
    schema: label,
    key: ({ id }) => id,
    absent: [403, 404],
  })
  return [...own.items, ...shared.items.filter(({ name }) => !find(own.items, name))]
}

/** Gives the names that are not on afterwards, and takes off what a number turned out to be instead. */
async function putOn(
  api: Api,
  issue: number,
  { wanted, list, at }: { wanted: readonly string[]; list: readonly WireLabel[]; at: readonly WireLabel[] },
): Promise<string[]> {
  const ids = wanted.flatMap((name) => find(list, name)?.id ?? [])
  if (ids.length === 0) return [...wanted]
  const doing = `put labels on ${api.ref}#${issue}`
  const path = `/issues/${issue}/labels`
  // 404 and 422: one of them was deleted.
  const answer = await api.call({ method: 'POST', path, body: { labels: ids }, doing, accept: [404, 422] })
  if (answer.status >= 300) return [...wanted]
  const now = read(z.array(label), answer.json, doing)
  const wrong = now.filter(
    ({ id, name }) => ids.includes(id) && !at.some((one) => one.id === id) && !wanted.some((one) => isSame(one, name)),
  )
  for (const one of wrong) await takeOff(api, issue, one)
  return wanted.filter((name) => !find(now, name))
}

async function takeOff(api: Api, issue: number, { id, name }: WireLabel): Promise<void> {
  const doing = `take the label ${name} off ${api.ref}#${issue}`
  // It may be off or deleted by now.
  await api.call({ method: 'DELETE', path: `/issues/${issue}/labels/${id}`, doing, accept: [404, 422] })
}
