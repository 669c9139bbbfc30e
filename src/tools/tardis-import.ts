/** Implements `tardis-import`: brings over the history that another backup program has kept. */
import { checkClientName } from '../store/layout/client-name.js';
import { interruptSignal } from './shared/signals.js';
import { runTool, toolCommand } from './shared/run-tool.js';

const command = toolCommand({
  tool: 'tardis-import',
  isWork: true,
  run: async (settings) => {
    checkClientName(settings.client);
    const { importSets } = await import('./tardis-import/import-sets.js'); // the start is a part of that of tardis
    return importSets(
      settings,
      interruptSignal('tardis-import', 'the next run continues with this set'),
    );
  },
});

export default runTool(command);
