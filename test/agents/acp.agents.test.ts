// Two real agents over the Agent Client Protocol, against the scripted model server.

import { describeMatrix } from './matrix.ts'
import { acpGemini } from './subjects/acp-gemini.ts'
import { acpOpencode } from './subjects/acp-opencode.ts'

describeMatrix(acpGemini)
describeMatrix(acpOpencode)
