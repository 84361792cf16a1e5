// Half of the seeds: the other half is a file of its own, so that two cores share them.

import { testSeeds } from './run-seeds.ts'

testSeeds({ from: 1, count: 500 })
