// The other half of the seeds.

import { testSeeds } from './run-seeds.ts'

testSeeds({ from: 501, count: 500 })
