import { expect, test } from 'vitest'
import type { Project, Store } from '../store/store.ts'
import { projectsAt } from './happenings.ts'

const UUID = '0b6c5c3a-5d0f-4d0b-9b4e-6f1d2c3b4a59'
const OTHER = 'f3d1a7e2-1111-4222-8333-444455556666'

const project = (id: string, driver: string, ref: string): Project => ({
  id,
  name: id,
  path: `/${id}`,
  remote: `/${id}.git`,
  createdAt: 1,
  tracker: {
    driver,
    ref,
  },
})

const at = (driver: string, ref: string): string[] => {
  const projects = [
    project('SHOP', 'plane', `acme/${UUID}`),
    project('WEB', 'plane', `acme/${OTHER}`),
    project('LIB', 'github', 'acme/lib'),
  ]
  const store = { listProjects: () => projects } as unknown as Store
  return projectsAt({ store }, { driver, ref }).map(({ id }) => id)
}

test('a project is known by its whole name, in whatever case, at its own vendor', () => {
  expect(at('github', 'ACME/Lib')).toEqual(['LIB'])
  expect(at('gitea', 'acme/lib')).toEqual([])
  expect(at('github', 'acme/other')).toEqual([])
})

test('a delivery that tells the last part alone is its project’s, and nobody else’s', () => {
  expect(at('plane', UUID)).toEqual(['SHOP'])
  expect(at('plane', UUID.slice(1))).toEqual([])
  expect(at('plane', `other/${UUID}`)).toEqual([])
})

test('one that tells no project is for all of its vendor', () => {
  expect(at('plane', '')).toEqual(['SHOP', 'WEB'])
})
