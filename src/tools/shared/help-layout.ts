/**
 * Layout of the options in --help: the flags on the left, and the description beside them or, if they are long, below
 * them.
 */
import { type Command, Help, type HelpConfiguration, type Option } from 'commander';

/** Width of the left column. The description of longer flags begins on the next line. */
const MAX_TERM_CHARS = 31;

const plain = new Help();

/** Options that only --help-all lists. */
const seldom = new WeakSet<Option>();
/** Commands of which --help-all is given. */
const whole = new WeakSet<Command>();

/** Lets only --help-all list an option. */
export function listInAll(option: Option): void {
  seldom.add(option);
}

/** Lets the help of a command list all options. */
export function listAll(command: Command): void {
  whole.add(command);
}

/** Returns true if the help of a command lists only some options. */
export function isShortened(command: Command): boolean {
  return (
    !whole.has(command) && command.options.some((option) => !option.hidden && seldom.has(option))
  );
}

/** Returns the functions that lay out the help of a command. */
export function helpLayout(command: Command): HelpConfiguration {
  return {
    // Only the printed help is shortened: the hint for a mistyped option considers all that the helper sees.
    formatHelp: (shown, helper) => {
      const listed = plain.visibleOptions(command);
      const visibleOptions = (): Option[] =>
        isShortened(command) ? listed.filter((option) => !seldom.has(option)) : listed;
      return plain.formatHelp(
        shown,
        Object.assign(Object.create(helper) as Help, { visibleOptions }),
      );
    },
    optionTerm: (option) => optionTerm(option, command),
    subcommandTerm: (sub) => `${sub.name()} ${sub.usage().replace(/\[options\] ?/, '')}`.trimEnd(),
    optionDescription: describe,
    longestOptionTermLength: (shown, helper) =>
      Math.min(MAX_TERM_CHARS, plain.longestOptionTermLength(shown, helper)),
    formatItem: (term, termWidth, text, helper) => {
      if (term.length <= termWidth)
        return plain.formatItem.call(helper, term, termWidth, text, helper);
      const below = plain.formatItem.call(helper, '', termWidth, text, helper);
      return `  ${term}\n${below}`;
    },
  };
}

/** Returns the left column of --help: `--[no-]progress` for a flag that can be negated. */
function optionTerm({ flags, long }: Option, command: Command): string {
  const word = long?.slice(2) ?? '';
  const isNegatable = command.options.some((other) => other.long === `--no-${word}`);
  return isNegatable ? flags.replace(`--${word}`, `--[no-]${word}`) : flags;
}

/** Returns the help of an option, with the value that the option has when it is given without one. */
function describe({ description, presetArg }: Option): string {
  const preset = typeof presetArg === 'string' ? presetArg : '';
  return preset === '' ? description : `${description} (without a value: ${preset})`;
}
