/** Implements `tardis-import`: brings over the history that another backup program has kept. */
import { checkClientName } from '../store/index.js';
import { interruptSignal, runTool, toolCommand } from './shared/run-tool.js';
import { importSets } from './tardis-import/import-sets.js';

const command = toolCommand({
  tool: 'tardis-import',
  isWork: true,
  run: (settings) => {
    checkClientName(settings.client);
    return importSets(
      settings,
      interruptSignal('tardis-import', 'the next run continues with this set'),
    );
  },
});

export default runTool(command);
