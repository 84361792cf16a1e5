// Makes a chaos site with a service at work, says where, and waits to be killed: what the janitor is for.

import { canMount, makeSite } from './site.ts'

const { world, add } = await makeSite({ smallDisk: canMount() })
await add(1)
const up = world.start(['up', '--json'])
await up.says('"run.begun"')
console.log(world.dir)
await up.ended
