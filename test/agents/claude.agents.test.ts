// The real Claude Code CLI through the matrix.

import { describeMatrix } from './matrix.ts'
import { claude } from './subjects/claude.ts'

describeMatrix(claude)
