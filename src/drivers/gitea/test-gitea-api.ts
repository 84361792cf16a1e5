// Gitea's own description of its API as a judge of what the driver asks and of what the fake answers: gitea-js is generated
// from /swagger.v1.json of 1.23, and its type declarations hold every operation with its path, query, body and answer. They
// hold no status. Fields that are not described are refused, and so are values of another type; null passes where a field
// may be absent, since Go writes what is empty so.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import ts from 'typescript'

interface Operation {
  /** `GET /repos/{owner}/{repo}`. */
  name: string
  pattern: RegExp
  literals: number
  query: ts.TypeNode | null
  body: ts.TypeNode | null
  answer: ts.TypeNode
}

export interface Description {
  /** The operation that a request is for; null: none is described. */
  find(method: string, path: string): string | null
  /** What is wrong with it, if anything. */
  judgeRequest(operation: string, request: { query: URLSearchParams; body: unknown }): string[]
  judgeAnswer(operation: string, body: unknown): string[]
}

export function readDescription(): Description {
  const main = createRequire(import.meta.url).resolve('gitea-js')
  const file = main.replace(/\.m?js$/, '.d.ts')
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
  const types = new Map<string, ts.InterfaceDeclaration | ts.TypeAliasDeclaration>()
  for (const statement of source.statements)
    if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
      types.set(statement.name.text, statement)
  const operations = readOperations(source).toSorted((a, b) => b.literals - a.literals)
  const get = (name: string): Operation => {
    const operation = operations.find((one) => one.name === name)
    if (!operation) throw new Error(`${name} is not described`)
    return operation
  }
  return {
    find: (method, path) =>
      operations.find(({ name, pattern }) => name.startsWith(`${method} `) && pattern.test(path))?.name ?? null,
    judgeRequest(name, { query, body }) {
      const operation = get(name)
      const known = operation.query ? membersOf(operation.query, types).map((member) => nameOf(member)) : []
      const asked = [...query.keys()].filter((key) => !known.includes(key)).map((key) => `?${key} is not described`)
      if (operation.body) return [...asked, ...judge(operation.body, body ?? undefined, { at: 'body', types })]
      return body === undefined ? asked : [...asked, 'no body is described']
    },
    judgeAnswer: (name, body) => judge(get(name).answer, body, { at: 'answer', types }),
  }
}

function readOperations(source: ts.SourceFile): Operation[] {
  const operations: Operation[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertySignature(node) && node.type && ts.isFunctionTypeNode(node.type)) {
      const request = ts
        .getJSDocTags(node)
        .filter((tag) => tag.tagName.text === 'request')
        .map((tag) => tag.getText().replaceAll(/\s*\n[\s\S]*$/g, ''))[0]
      const match = /@request (\w+):(\S+)/.exec(request ?? '')
      if (match) operations.push(toOperation(match[1] ?? '', match[2] ?? '', node.type))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return operations
}

function toOperation(method: string, path: string, type: ts.FunctionTypeNode): Operation {
  const parameters = new Map(type.parameters.map((parameter) => [parameter.name.getText(), parameter.type ?? null]))
  const holes = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  // The first parameters are the path's, in its order, whatever letters their names have.
  const kinds = type.parameters.slice(0, holes.length).map((parameter) => parameter.type?.getText())
  let hole = 0
  const pattern = path.replaceAll('.', String.raw`\.`).replaceAll(/\{(\w+)\}/g, (_whole, name: string) => {
    const isNumber = kinds[hole] === 'number'
    hole += 1
    if (isNumber) return String.raw`\d+`
    return name === 'head' || name === 'basehead' ? '.+' : '[^/]+'
  })
  const answer = (type.type as ts.TypeReferenceNode).typeArguments?.[0] as ts.TypeReferenceNode
  return {
    name: `${method} ${path}`,
    pattern: new RegExp(`^${pattern}$`),
    literals: path.split('/').filter((part) => !part.startsWith('{')).length * 10 - holes.length,
    query: parameters.get('query') ?? null,
    // Whatever it is called: the last but for the options of the client.
    body: [...parameters].slice(holes.length).find(([key]) => key !== 'query' && key !== 'params')?.[1] ?? null,
    answer: answer.typeArguments?.[0] as ts.TypeNode,
  }
}

interface Place {
  at: string
  types: Map<string, ts.InterfaceDeclaration | ts.TypeAliasDeclaration>
}

function judge(type: ts.TypeNode, value: unknown, { at, types }: Place): string[] {
  const wrong = (what: string): string[] => [`${at} is ${JSON.stringify(value)?.slice(0, 60)} and not ${what}`]
  if (ts.isArrayTypeNode(type)) {
    if (!Array.isArray(value)) return wrong('a list')
    return value.flatMap((item, index) => judge(type.elementType, item, { at: `${at}.${index}`, types }))
  }
  if (ts.isUnionTypeNode(type))
    return type.types.some((one) => judge(one, value, { at, types }).length === 0) ? [] : wrong(type.getText())
  if (ts.isLiteralTypeNode(type))
    return ts.isStringLiteral(type.literal) && type.literal.text === value ? [] : wrong(type.getText())
  if (ts.isTypeLiteralNode(type)) return judgeObject([...type.members], value, { at, types })
  if (ts.isTypeReferenceNode(type)) {
    const name = type.typeName.getText()
    const declared = types.get(name)
    if (name === 'Record') {
      const of = type.typeArguments?.[1] as ts.TypeNode
      if (!isObject(value)) return wrong('a group')
      return Object.entries(value).flatMap(([key, item]) => judge(of, item, { at: `${at}.${key}`, types }))
    }
    if (!declared) throw new Error(`gitea-js names no type ${name}`)
    if (ts.isTypeAliasDeclaration(declared)) return judge(declared.type, value, { at, types })
    return judgeObject([...declared.members], value, { at, types })
  }
  switch (type.kind) {
    case ts.SyntaxKind.AnyKeyword:
      return []
    case ts.SyntaxKind.VoidKeyword:
      return value === undefined ? [] : wrong('empty')
    case ts.SyntaxKind.StringKeyword:
      return typeof value === 'string' ? [] : wrong('a text')
    case ts.SyntaxKind.NumberKeyword:
      return typeof value === 'number' ? [] : wrong('a number')
    case ts.SyntaxKind.BooleanKeyword:
      return typeof value === 'boolean' ? [] : wrong('true or false')
    default:
      throw new Error(`gitea-js has a type that is not read: ${type.getText()}`)
  }
}

function judgeObject(members: ts.TypeElement[], value: unknown, { at, types }: Place): string[] {
  if (!isObject(value)) return [`${at} is ${JSON.stringify(value)} and not a group`]
  const described = new Map(members.map((member) => [nameOf(member), member as ts.PropertySignature]))
  const unknown = Object.keys(value).filter((key) => !described.has(key))
  return [
    ...unknown.map((key) => `${at}.${key} is not described`),
    ...[...described].flatMap(([key, member]) => {
      const item = value[key]
      if (item === undefined || item === null) return member.questionToken ? [] : [`${at}.${key} is missing`]
      const isDate = ts.getJSDocTags(member).some((tag) => tag.getText().includes('date-time'))
      if (isDate && (typeof item !== 'string' || Number.isNaN(Date.parse(item)))) return [`${at}.${key} is no time`]
      return judge(member.type as ts.TypeNode, item, { at: `${at}.${key}`, types })
    }),
  ]
}

function membersOf(type: ts.TypeNode, types: Place['types']): ts.TypeElement[] {
  if (ts.isTypeLiteralNode(type)) return [...type.members]
  const declared = ts.isTypeReferenceNode(type) ? types.get(type.typeName.getText()) : undefined
  return declared && ts.isInterfaceDeclaration(declared) ? [...declared.members] : []
}

function nameOf(member: ts.TypeElement): string {
  return member.name && (ts.isIdentifier(member.name) || ts.isStringLiteral(member.name)) ? member.name.text : ''
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
