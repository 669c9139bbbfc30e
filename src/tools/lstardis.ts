/** Implements `lstardis`: lists backup sets, directories as of a set, and versions of files. `sonic list` is the same. */
import { listStore } from './lstardis/list.js';
import { runTool, toolCommand } from './shared/run-tool.js';

export default runTool(toolCommand({ tool: 'lstardis', run: listStore }));
