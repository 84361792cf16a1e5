// What a project's ids are called: states, labels, people. Read whole, remembered for a while, and an old set is better than
// none where it can't be read anew (C-59, C-113). Nothing of another project gets in.

import { ExternalError } from '../../lib/errors.ts'
import type { Person, Trust } from '../driver.ts'
import type { Schema } from '../answers.ts'
import type { Api } from './connection.ts'
import { isUuid, label, member, read, state, type WireLabel, type WireMember, type WireState } from './wire.ts'

export interface Catalog {
  states(): Promise<WireState[]>
  labels(): Promise<WireLabel[]>
  /** Of an id that may be newer than what is remembered; null where the project has none of it. */
  stateOf(id: string): Promise<WireState | null>
  labelOf(id: string): Promise<WireLabel | null>
  personOf(id: string | null | undefined): Promise<Person>
  /** As `personOf`, by what is remembered alone; null where nothing is. */
  recallPerson(id: string): Person | null
  trustOf(login: string): Promise<Trust>
  /** What was remembered of states and labels proved wrong, or was changed by us. */
  forget(): void
}

/** Rights that were taken away must not work for long. */
const TRUST_TTL_MS = 60_000
/** Somebody who is in no list, such as one who left, is not looked for at each of their comments. */
const MISS_TTL_MS = 30_000
/** Of a project and of a workspace. https://developers.plane.so/api-reference/members/overview */
const ROLES: Record<number, Trust> = { 20: 'owner', 15: 'member' }
/** Names of the same roles, and of the built-in ones of newer servers. */
const SLUGS: Record<string, Trust> = { admin: 'owner', member: 'member', contributor: 'member' }

export function makeCatalog(api: Api): Catalog {
  const states = makeMemory(api, () => readNamed(api, { what: 'states', schema: state }))
  const labels = makeMemory(api, () => readNamed(api, { what: 'labels', schema: label }))
  const people = makeMemory(api, () => readPeople(api))
  return {
    states: () => states.get(),
    labels: () => labels.get(),
    stateOf: (id) => findNamed(api, states, { what: 'states', schema: state, id }),
    labelOf: (id) => findNamed(api, labels, { what: 'labels', schema: label, id }),
    async personOf(id) {
      if (!id) return { login: 'nobody', isBot: true }
      const known = (await people.get()).get(id) ?? (await people.get({ maxAgeMs: MISS_TTL_MS })).get(id)
      return known?.person ?? { login: id, isBot: false }
    },
    recallPerson: (id) => people.recall()?.get(id)?.person ?? null,
    async trustOf(login) {
      const all = [...(await people.get({ maxAgeMs: TRUST_TTL_MS, strict: true })).values()]
      const is = (name: string): boolean => name.toLowerCase() === login.toLowerCase()
      const found = all.find(({ id }) => is(id)) ?? all.find(({ person }) => is(person.login))
      return found?.trust ?? 'none'
    },
    forget() {
      states.forget()
      labels.forget()
    },
  }
}

interface Memory<T> {
  /** `strict`: rather fails than gives an old one. */
  get(options?: { maxAgeMs?: number; strict?: boolean }): Promise<T>
  recall(): T | null
  forget(): void
}

function makeMemory<T>({ now, catalogTtlMs }: Api, load: () => Promise<T>): Memory<T> {
  let known: { value: T; at: number } | null = null
  let loading: Promise<T> | null = null
  const reload = (): Promise<T> => {
    loading ??= load()
      .then((value) => {
        known = { value, at: now() }
        return value
      })
      .finally(() => (loading = null))
    return loading
  }
  return {
    async get({ maxAgeMs, strict = false } = {}) {
      const limitMs = maxAgeMs ?? (catalogTtlMs === 0 ? Infinity : catalogTtlMs)
      if (known && now() - known.at < limitMs) return known.value
      const before = known
      try {
        return await reload()
      } catch (error) {
        if (strict || !before || !(error instanceof ExternalError)) throw error
        return before.value
      }
    },
    recall: () => known?.value ?? null,
    forget: () => void (known = null),
  }
}

interface Named {
  id: string
  name: string
  project?: string | null | undefined
}

interface NamedRequest<T> {
  what: 'states' | 'labels'
  schema: Schema<T>
}

async function readNamed<T extends Named>(api: Api, { what, schema }: NamedRequest<T>): Promise<T[]> {
  const doing = `list the ${what} of ${api.ref}`
  const key = ({ id }: T): string => id
  const { items } = await api.list({ path: `/${what}/`, doing, schema, key, stamp: key })
  return items.filter((item) => isOurs(api, item))
}

function isOurs({ project }: Api, item: Named): boolean {
  return !item.project || item.project === project
}

/** Looks for one that was made since all were read. */
async function findNamed<T extends Named>(
  api: Api,
  memory: Memory<T[]>,
  { what, schema, id }: NamedRequest<T> & { id: string },
): Promise<T | null> {
  const all = await memory.get()
  const known = all.find((one) => one.id === id)
  if (known) return known
  const doing = `read one of the ${what} of ${api.ref}`
  const answer = await api.call({ path: `/${what}/${id}/`, doing, accept: [404] })
  if (answer.status === 404) return null
  const found = read(schema, answer.json, doing)
  if (!isOurs(api, found)) return null
  all.push(found)
  return found
}

interface Known {
  id: string
  person: Person
  trust: Trust
}

/**
 * A person is called by their display name. Anybody may choose theirs, so one that two have is nobody's: both go by their
 * ids, but for our own accounts, whose comments must always be known as ours.
 */
async function readPeople(api: Api): Promise<Map<string, Known>> {
  const members = await readMembers(api)
  const own = new Map((await api.accounts()).map((account) => [account.id, account]))
  const count = new Map<string, number>()
  const names = [...own.values()].map(({ login }) => login)
  for (const { display_name: name } of members) names.push(name)
  for (const name of names) count.set(name.toLowerCase(), (count.get(name.toLowerCase()) ?? 0) + 1)
  const all = new Map<string, Known>()
  for (const { id, login, role } of own.values())
    all.set(id, { id, person: { login, isBot: role !== null }, trust: 'none' })
  for (const one of members) {
    const { id, display_name: name } = one
    const isUnique = name !== '' && !isUuid(name) && count.get(name.toLowerCase()) === 1
    const person = all.get(id)?.person ?? { login: isUnique ? name : id, isBot: false }
    all.set(id, { id, person, trust: trustIn(one) })
  }
  return all
}

function trustIn({ role, role_slug: slug }: WireMember): Trust {
  if (typeof role === 'number') return ROLES[role] ?? 'none'
  return (slug && Object.hasOwn(SLUGS, slug) && SLUGS[slug]) || 'none'
}

/** Older servers list a project's people elsewhere and without their role: then the one in the workspace counts. */
async function readMembers(api: Api): Promise<WireMember[]> {
  const doing = `list the members of ${api.ref}`
  const [slug = ''] = api.ref.split('/')
  const list = (path: string): Promise<WireMember[]> =>
    api.list({ path, doing, schema: member, key: ({ id }) => id, stamp: ({ id }) => id }).then(({ items }) => items)
  const members = await list('/project-members/').catch((error: unknown) => {
    if (error instanceof ExternalError && error.kind === 'not-found') return list('/members/')
    throw error
  })
  if (members.every(({ role, role_slug: name }) => typeof role === 'number' || name)) return members
  const everybody = await list(`//workspaces/${slug}/members/`).catch((error: unknown) => {
    // Only an administrator may ask. Without it, nobody's rights are known.
    if (error instanceof ExternalError && error.kind === 'auth') return []
    throw error
  })
  const inWorkspace = new Map(everybody.map((one) => [one.id, one]))
  return members.map((one) =>
    typeof one.role === 'number' || one.role_slug
      ? one
      : { ...one, role: inWorkspace.get(one.id)?.role, role_slug: inWorkspace.get(one.id)?.role_slug },
  )
}
