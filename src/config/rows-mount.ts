/** Settings of `tardisfs`, which mounts a client's sets. */
import type { SettingTable } from './row.js';

export const MOUNT_ROWS = {
  mountPaths: {
    type: 'paths',
    default: [],
    tools: ['tardisfs'],
    argument: '[path...]',
    shownArguments: { tardisfs: '[source] <mountpoint>' },
    help: 'mount point; if there are two paths, the first is the source, as in /etc/fstab',
    test: 'a store is mounted by a line of fstab, with its options',
  },
  mountOptions: {
    type: 'texts',
    default: [],
    tools: ['tardisfs'],
    flags: '-o, --options <name[=value],...>',
    help: 'options, separated by commas: the names of the long options, and those of mount(8)',
    test: 'a store is mounted by a line of fstab, with its options',
  },
  foreground: {
    type: 'bool',
    default: false,
    tools: ['tardisfs'],
    flags: '-f, --foreground',
    help: 'stay in the foreground, with the log on standard error',
    test: 'a mount in the foreground ends with its signal and leaves nothing',
  },
  allowOther: {
    type: 'bool',
    default: false,
    tools: ['tardisfs'],
    flags: '--allow-other',
    help: 'allow access by all users; the permissions of each entry then apply to them',
    test: 'other users see only what the permissions in the set allow',
  },
  defaultPermissions: {
    type: 'bool',
    default: false,
    tools: ['tardisfs'],
    flags: '--default-permissions',
    help: 'let the kernel check the permissions of each entry (always with --allow-other)',
    test: 'other users see only what the permissions in the set allow',
  },
  noExec: {
    type: 'bool',
    default: false,
    tools: ['tardisfs'],
    flags: '--noexec',
    help: 'do not allow programs in the sets to run',
    test: 'a store is mounted by a line of fstab, with its options',
  },
} as const satisfies SettingTable;
