// What a request to the played Gitea is to the functions that answer it.

import type { FakeState, FakeUser, Json } from './fake-gitea-state.ts'

export interface Asked {
  state: FakeState
  me: FakeUser
  /** What stands in the holes of the path, in their order. */
  values: string[]
  query: URLSearchParams
  body: Json
}

export interface Answer {
  status: number
  json?: unknown
  /** Given page by page. */
  list?: readonly unknown[]
  /** What `X-Total-Count` says where that is not the length of the list. */
  total?: number
  /** No JSON, such as a log. */
  text?: string
}

/** By the description's name of the operation. */
export type Routes = Record<string, (asked: Asked) => Answer>

export function no(status: number, message: string): Answer {
  return { status, json: { message, url: 'https://gitea.example/api/swagger' } }
}

/** A field of a body that is a text, and was judged to be one. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** As an administrator leaves it (MAX_RESPONSE_ITEMS). */
export const MAX_ITEMS = 50

/** What of a list this request is answered. */
export function pageOf({ json, list }: Answer, query: URLSearchParams): unknown {
  if (!list) return json
  const limit = Math.min(Number(query.get('limit') ?? 30), MAX_ITEMS)
  const page = Number(query.get('page') ?? 1)
  return list.slice((page - 1) * limit, page * limit)
}
