/** Implements `tardiff`: shows what differs between two sets, or between a set and the disk. `sonic diff` is the same. */
import { COMPARISON_FAILED, statusIsAnswer } from './output/exit-status.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { compare } from './tardiff/compare.js';

const command = toolCommand({ tool: 'tardiff', run: compare });
statusIsAnswer(COMPARISON_FAILED);
export default runTool(command);
