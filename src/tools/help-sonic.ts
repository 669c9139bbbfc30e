/** What the sub-commands of sonic are for, in words and examples. */
import { KEPT_KEYS, type Tool } from '../config/index.js';
import { AT, D, example, type ToolHelp } from './help-rows.js';

export const KEYS_HELP = {
  'sonic create': {
    summary: 'make a client (and the store, if it is not there), with a password or without',
    examples: [
      example(
        `sonic create ${AT} --password`,
        'a client that encrypts, by a password that is asked for',
      ),
      example(
        `sonic create ${AT} --password --nocrypt`,
        'one with a password that does not encrypt',
      ),
      example(
        'sonic create --server backup.example.org -C laptop',
        'through a server that lets new clients in',
      ),
    ],
  },
  'sonic setpass': {
    summary: 'give a client a password that has none (what is stored stays as it is)',
    examples: [
      example(`sonic setpass ${AT}`, 'asks for it twice'),
      example(
        `sonic setpass ${AT} --password-file ~/.tardis-password`,
        'the first line of that file',
      ),
    ],
  },
  'sonic chpass': {
    summary: 'change the password of a client (nothing is written anew but the keys)',
    examples: [
      example(`sonic chpass ${AT}`, 'asks for the old and the new one'),
      example('sonic chpass --server backup.example.org -C laptop', 'the same through a server'),
    ],
  },
  'sonic rotate': {
    summary: 'encrypt what is stored from now on with a new key',
    examples: [
      example(`sonic rotate ${AT}`, 'what is stored already stays readable by the older one'),
    ],
  },
  'sonic rekey': {
    summary:
      'write all of an encrypting client anew with new keys (goes on where it was broken off)',
    examples: [
      example(`sonic rekey ${AT} --newpassword`, 'with a new password, too'),
      example(`sonic rekey ${AT} --yes`, 'for scripts: asks nothing but the password'),
      example(`sonic rekey ${AT} --abort`, 'gives an unfinished run up'),
    ],
  },
  'sonic encrypt': {
    summary: 'encrypt all of a client that does not encrypt (goes on where it was broken off)',
    examples: [
      example(`sonic encrypt ${AT} --password`, 'all sets, with a password that is asked for'),
    ],
  },
  'sonic keys': {
    summary: 'write the wrapped keys of a client into a key file, back into the store, or on paper',
    examples: [
      example(`sonic keys --extract --keys ~/laptop.keys ${AT}`, 'a copy for a safe place'),
      example(
        `sonic keys --extract --remove --keys ~/laptop.keys ${AT}`,
        'leaves none in the store: nothing is read without the file',
      ),
      example(`sonic keys --insert --keys ~/laptop.keys ${AT}`, 'puts them back'),
      example(`sonic keys --pdf laptop-keys.pdf ${AT}`, 'on paper: as text and QR code'),
      example(`sonic keys --qr ${AT}`, 'as a QR code on the terminal'),
    ],
  },
  'sonic account': {
    summary: 'list, make, change or remove the accounts of a client, each with rights of its own',
    examples: [
      example(`sonic account ${AT}`, 'lists them'),
      example(
        `sonic account --add phone --rights add,list ${AT}`,
        'one that may back up and list, but not restore',
      ),
      example(`sonic account --change phone --rights read,list ${AT}`, 'now it may only read'),
      example(`sonic account --remove phone ${AT}`, 'nobody logs in by it any more'),
    ],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;

/** Which settings can be kept with a client. */
const KEPT = `Keys: ${Object.keys(KEPT_KEYS).join(', ')}. What is not set is as the server is set to.`;

export const SETS_HELP = {
  'sonic list': {
    summary: 'list the backup sets of a client',
    examples: [
      example(`sonic list ${AT}`, 'its backup sets'),
      example(`sonic list --clients ${D}`, 'the clients of a store'),
    ],
  },
  'sonic files': {
    summary: 'list the files that a backup set has changed: added (+), changed (~), gone (-)',
    examples: [
      example(`sonic files ${AT}`, 'of the newest set'),
      example(`sonic files --long --fullpath ${AT} 12`, 'of set 12, with sizes and whole paths'),
    ],
  },
  'sonic info': {
    summary: 'tell all that is known of backup sets',
    examples: [
      example(`sonic info ${AT} 10-12`, 'of three sets'),
      example(`sonic info --json ${AT} Current`, 'of the newest complete one, for a script'),
    ],
  },
  'sonic stats': {
    summary: 'tell what the store of a client takes, and what of it is of use',
    examples: [example(`sonic stats ${AT}`, 'what it takes, and the largest files')],
  },
  'sonic getconfig': {
    summary: 'show settings of the server that are kept with a client',
    examples: [
      example(`sonic getconfig ${AT}`, 'all of them'),
      example(`sonic getconfig ${AT} KeepDaily`, 'one'),
    ],
    about: [KEPT],
  },
  'sonic setconfig': {
    summary: 'keep a setting of the server with a client, for which it holds then',
    examples: [
      example(`sonic setconfig ${AT} KeepDaily 14`, 'keep the sets of fourteen days'),
      example(`sonic setconfig --remove ${AT} KeepDaily`, 'as the server is set to'),
    ],
    about: [KEPT],
  },
  'sonic upgrade': {
    summary: 'bring the catalog of a client to the newest version',
    examples: [example(`sonic upgrade --dry-run ${AT}`, 'only tell what would be done')],
  },
  'sonic diff': {
    summary: 'tell what differs between two backup sets',
    about: [
      'Each line has + for what is new, - for what is gone, M for another content, T for another type, U for other metadata (with --metadata); then sizes. Two sets of different jobs have different roots: all of one is gone, and all of the other is new.',
    ],
    examples: [
      example(`sonic diff ${AT} 3 5`, 'all that differs'),
      example(`sonic diff ${AT} "3 days ago" Current /home/me`, 'below a path'),
    ],
    notes: [
      'Exit status: 0 done, whether anything differs or not, 3 some things could not be compared.',
    ],
  },
  'sonic check': {
    summary: 'check the store of a client, and name what cannot be restored any more',
    examples: [
      example(`sonic check ${AT}`, 'the catalog, and every record by its head'),
      example(`sonic check --read-data ${AT}`, 'all that is stored, too'),
      example(
        `sonic check --read-data=3/7 ${AT}`,
        'the third seventh of it: all of it in seven runs',
      ),
      example(
        `sonic check --read-data=20G --read-data-age 30 ${AT}`,
        '20 GiB of what was not read for 30 days',
      ),
      example(
        'sonic check --server backup.example.org -C laptop',
        'through a server, which has no keys: of what is encrypted its checksums',
      ),
    ],
    notes: ['Exit status: 0 nothing is wrong, 3 damage was found, 1 the check failed.'],
  },
  'sonic delete': {
    summary: 'give backup sets up, and free what only they hold',
    examples: [
      example(`sonic delete ${AT} 3 10-20`, 'these sets, after a question'),
      example(`sonic delete ${AT} --dry-run 10-20`, 'which sets these are, and nothing else'),
      example(`sonic delete ${AT} --yes 3`, 'for scripts: asks nothing'),
    ],
  },
  'sonic purge': {
    summary: 'delete old backup sets by rules, and free what only they hold',
    examples: [
      example(
        `sonic purge --keep-daily 14 --keep-monthly 12 --preview ${AT}`,
        'which sets would go, and why the others stay',
      ),
      example(
        `sonic purge --keep-daily 14 --keep-monthly 12 ${AT}`,
        'the same in earnest, after a question',
      ),
      example(
        `sonic purge --before "1 year ago" --yes ${AT}`,
        'for scripts: what is older than a year',
      ),
    ],
  },
  'sonic forget-path': {
    summary: 'forget paths in all sets, for good, after a time in which that can be taken back',
    examples: [
      example(`sonic forget-path --preview ${AT} /home/me/secret`, 'what would go'),
      example(
        `sonic forget-path --undo-period 2d ${AT} /home/me/secret`,
        'in two days, after a question',
      ),
      example(`sonic forget-path --list ${AT}`, 'what was asked for, with its numbers'),
      example(`sonic forget-path --undo 1 ${AT}`, 'takes it back'),
      example(
        `sonic forget-path --finish ${AT}`,
        'carries out what is due (a client that encrypts needs this, and gets new keys)',
      ),
    ],
  },
  'sonic tag': {
    summary: 'give backup sets tags, or take them away',
    examples: [example(`sonic tag --add before-upgrade ${AT} Current`, 'the newest complete set')],
  },
  'sonic lock': {
    summary: 'lock backup sets, so that they cannot be deleted; or unlock them',
    examples: [
      example(`sonic lock ${AT} 3`, 'set 3 stays, whoever wants to delete it'),
      example(`sonic lock --unlock ${AT} 3`, 'until now'),
    ],
  },
  'sonic priority': {
    summary: 'give backup sets another priority',
    examples: [example(`sonic priority --to 10 ${AT} 3 10-20`, 'the sets 3 and 10 to 20')],
  },
  'sonic rename': {
    summary: 'give a backup set another name',
    examples: [example(`sonic rename --to before-upgrade ${AT} 3`, 'set 3')],
  },
  'sonic expendable': {
    summary: 'say which backup sets may go early when space runs low',
    examples: [
      example(`sonic expendable ${AT} 3 10-20`, 'the sets 3 and 10 to 20'),
      example(`sonic expendable --not ${AT} 3`, 'set 3 stays after all'),
    ],
  },
  'sonic orphans': {
    summary: 'free all that no backup set needs',
    examples: [
      example(`sonic orphans ${AT}`, 'looks at everything, whether sets were deleted or not'),
      example('sonic orphans --server backup.example.org -C laptop', 'the server does it'),
    ],
  },
  'sonic rebuild': {
    summary: 'make the catalog of a client anew from its packs, and name what is lost',
    examples: [
      example(`sonic rebuild ${AT}`, 'from all that the packs say'),
      example(
        `sonic rebuild --from-backup ${AT}`,
        'from the newest copy of it, and what the packs say after that',
      ),
    ],
    notes: ['Exit status: 0 all is there, 3 something is damaged or missing, 1 failed.'],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;
