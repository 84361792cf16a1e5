// What an agent lets a client choose in a session, its mode and its model: by the session's options, or by the older fields
// and methods of their own, which agents still have.

import { type AcpConnection, RpcError } from './acp-connection.ts'
import { AcpFailure, step } from './acp-failure.ts'
import type { AcpLine } from './acp-lines.ts'
import { type AcpLeave, chooseMode } from './acp-permissions.ts'
import { asObject, asObjects, asText, type JsonObject } from './json-fields.ts'

/** An open session. */
export interface Session {
  id: string
  resumed: boolean
  /** The answer that opened it: its modes, models and options. */
  offers: JsonObject
}

interface Talk {
  connection: AcpConnection
  say(line: AcpLine): void
}

/** A choice that an agent offers in its session: its model, its mode. */
interface Choice {
  values: { id: string; name: string }[]
  current: string | null
  set(id: string): Promise<JsonObject>
}

/** What the session offers to choose as `category`: by its options, or by the older fields of their own. */
function choiceOf({ connection }: Talk, { id: sessionId, offers }: Session, category: 'mode' | 'model'): Choice | null {
  const option = asObjects(offers['configOptions']).find(
    (one) => one['type'] === 'select' && (one['category'] === category || one['id'] === category),
  )
  if (option) {
    const configId = asText(option['id']) ?? category
    const values = asObjects(option['options']).flatMap((one) =>
      Array.isArray(one['options']) ? asObjects(one['options']) : [one],
    )
    return {
      values: values.map((one) => named(one, 'value')),
      current: asText(option['currentValue']),
      set: (value) => connection.request('session/set_config_option', { sessionId, configId, value }),
    }
  }
  const old = asObject(offers[`${category}s`])
  if (!old) return null
  const key = category === 'mode' ? 'id' : 'modelId'
  return {
    values: asObjects(old[category === 'mode' ? 'availableModes' : 'availableModels']).map((one) => named(one, key)),
    current: asText(old[category === 'mode' ? 'currentModeId' : 'currentModelId']),
    set: (id) =>
      category === 'mode'
        ? connection.request('session/set_mode', { sessionId, modeId: id })
        : connection.request('session/set_model', { sessionId, modelId: id }),
  }
}

function named(one: JsonObject, key: string): { id: string; name: string } {
  const id = asText(one[key]) ?? ''
  return { id, name: asText(one['name']) ?? id }
}

/** Sets the mode in which it can work, where its own is none; gives the one it is in. */
export async function setMode(talk: Talk, session: Session, leave: AcpLeave): Promise<string | null> {
  const choice = choiceOf(talk, session, 'mode')
  if (!choice) return null
  const mode = chooseMode(choice.values, choice.current, leave.sandboxed)
  if (!mode) return choice.current
  await step('mode', choice.set(mode.id))
  return mode.id
}

/** Sets the model; gives the one it works with, null when it doesn't tell. */
export async function setModel(talk: Talk, session: Session, wanted: string | null): Promise<string | null> {
  const choice = choiceOf(talk, session, 'model')
  if (wanted === null) return choice?.current ?? null
  if (!choice) {
    talk.say({
      type: 'note',
      text: `the agent lets nobody choose its model, so it works with its own and not with ${wanted}`,
    })
    return null
  }
  const found =
    choice.values.find((one) => one.id === wanted) ??
    choice.values.find((one) => one.name === wanted || one.id.endsWith(`/${wanted}`))
  const id = found?.id ?? wanted
  if (id === choice.current) return id
  try {
    // A model may be there without being listed.
    await choice.set(id)
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    const some = choice.values.slice(0, 8).map((one) => one.id)
    throw new AcpFailure(
      'model',
      `the agent has no model "${wanted}" (${error.message}); it offers ${some.join(', ')}`,
      error,
    )
  }
  return id
}
