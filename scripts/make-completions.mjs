// Completions of bash, zsh and fish, made from the table of settings: make-manuals.mjs writes them. Values from
// a store (clients, sets, days, paths in a set) come from `sonic complete`, which prints nothing if it finds none.
import { ALSO_OF_SONIC, headingOf, listedRowsOf, rowsOf, TOOLS } from '../dist/src/config/index.js';
import { HELP } from '../dist/src/tools/index.js';

const COMMANDS = [...new Set(TOOLS.map((tool) => tool.split(' ')[0]))];
const NOTE = '# Made by scripts/make-manuals.mjs from the table of settings; do not edit.';

/** Settings whose values are known to a store. */
const LIVE = { client: 'clients', backup: 'sets', date: 'days' };

/** Returns the kind of an option's value: dirs, files, `live KIND`, `words …`, or any if it is unknown. */
function kindOf(name, row) {
  if (LIVE[name] !== undefined) return `live ${LIVE[name]}`;
  if (row.choices !== undefined) return `words ${row.choices.join(' ')}`;
  if (!/^(?:path|place)s?$/.test(row.type)) return 'any';
  if (/<glob>|<pattern>/.test(row.flags ?? '')) return 'any';
  return /<dir>/.test(row.flags ?? '') ? 'dirs' : 'files';
}

/** Returns the kind of an argument by its name. `[path...]` are paths of the backed-up tree. */
function argumentKind({ argument }) {
  if (argument.includes('set')) return 'live sets';
  if (argument.includes('path')) return 'live paths';
  return argument.includes('directory') ? 'dirs' : 'files';
}

/** Returns the options of a tool: the names of each, its help, and the kind of its value (undefined if it has none). */
function optionsOf(tool) {
  return listedRowsOf(tool).flatMap(([name, row]) => {
    if (row.flags === undefined) return [];
    const short = /(?:^|\s)-(\w)\b/.exec(row.flags)?.[1];
    const long = /--([a-z-]+)/.exec(row.flags)[1];
    const takes = / [<[]|\[=/.test(row.flags) ? kindOf(name, row) : undefined;
    const isOptional = / \[|\[=/.test(row.flags);
    const isList = ['paths', 'texts', 'commands', 'count'].includes(row.type);
    const names = row.negatable === true ? [long, `no${long}`] : [long];
    const isTuning = headingOf(name) === 'Tuning:';
    return names.map((one) => ({
      short: one === long ? short : undefined,
      long: one,
      takes,
      isOptional,
      isList,
      isTuning,
      help: row.help,
    }));
  });
}

function argumentOf(tool) {
  const found = rowsOf(tool).find(([, row]) => row.argument !== undefined);
  return found === undefined ? 'any' : argumentKind(found[1]);
}

/** Names of the commands of `sonic` that are other programs. */
const ALSO = new Map(Object.entries(ALSO_OF_SONIC).map(([name, tool]) => [tool, name]));

const toolsOf = (command) => [
  ...TOOLS.filter((tool) => tool.split(' ')[0] === command),
  ...(command === 'sonic' ? ALSO.keys() : []),
];
const subOf = (command, tool) =>
  command === 'sonic' ? (ALSO.get(tool) ?? tool.split(' ')[1]) : undefined;

// --- bash -------------------------------------------------------------------------------------------

const BASH_HELPERS = `
# The words up to the cursor as the user sees them: bash itself cuts them at = and : too.
__tardis_words() {
  local rest=\${COMP_LINE:0:COMP_POINT} at word
  words=()
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if ((at > 0)) && [[ -n $rest && $rest != [[:space:]]* ]]; then
      words[\${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    rest=\${rest#"$word"}
  done
}

# Fills COMPREPLY with what begins like $2 and is of the kind $1.
__tardis_fill() {
  local kind=$1 typed=$2 value quote sign
  case $kind in
    dirs) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$typed") ;;
    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$typed") ;;
    words\\ *) mapfile -t COMPREPLY < <(compgen -W "\${kind#words }" -- "$typed") ;;
    live\\ paths)
      compopt -o filenames -o nospace 2>/dev/null
      while IFS=$'\\t' read -r value _; do COMPREPLY+=("$value"); done < <(
        sonic complete -- paths "$typed" "\${words[@]:1:\${#words[@]}-2}" 2>/dev/null)
      ;;
    live\\ *)
      # Bash inserts these as they are, so each is escaped for the open quote. A quote within a word would end it.
      quote=\${typed:0:1}
      [[ $quote == [\\"\\'] ]] || quote=
      [[ \${typed:\${#quote}} == *\${quote:-[\\"\\']}* ]] && return
      while IFS=$'\\t' read -r value _; do
        case $quote in
          \\') value=\${value//\\'/"'\\\\''"} ;;
          \\")
            for sign in '\\' '"' '$' '\`'; do value=\${value//"$sign"/"\\\\$sign"}; done
            value=\${value//!/'"\\!"'}
            ;;
          *) printf -v value %q "$value" ;;
        esac
        [[ -n $quote && $value == *$quote ]] && value+=$quote # bash would not close it
        COMPREPLY+=("$value")
      done < <(sonic complete -- "\${kind#live }" "$typed" "\${words[@]:1:\${#words[@]}-2}" 2>/dev/null)
      ;;
  esac
}

# Only what is behind the last = or : is taken by bash.
__tardis_cut() {
  local typed=$1 last=\${COMP_WORDS[COMP_CWORD]} front at
  [[ $last == [=:] ]] && last=
  front=\${typed%"$last"}
  front=\${front//\\\\/} front=\${front#[\\"\\']}
  for at in "\${!COMPREPLY[@]}"; do COMPREPLY[at]=\${COMPREPLY[at]#"$front"}; done
}
`;

/** Returns the kind of the value of each option of a tool, as a case of bash. */
function bashCase(tool) {
  const byKind = new Map();
  for (const { short, long, takes } of optionsOf(tool)) {
    if (takes === undefined) continue;
    const names = [`--${long}`, ...(short === undefined ? [] : [`-${short}`])];
    byKind.set(takes, [...(byKind.get(takes) ?? []), ...names]);
  }
  return [...byKind].map(([kind, names]) => `      ${names.join(' | ')}) kind='${kind}' ;;`);
}

/**
 * Returns the options of a tool whose value is optional. Such a value is attached with =, unless it is one of a few
 * words.
 */
function optionalOf(tool) {
  return optionsOf(tool).flatMap(({ short, long, takes, isOptional }) =>
    isOptional && !takes.startsWith('words ')
      ? [`--${long}`, ...(short === undefined ? [] : [`-${short}`])]
      : [],
  );
}

function bashTool(tool) {
  const names = optionsOf(tool).flatMap(({ short, long }) => [
    `--${long}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
  const optional = optionalOf(tool);
  const alone =
    optional.length === 0
      ? ''
      : `\n    case $isBehind$option in ${optional.map((one) => `0${one}`).join(' | ')}) option= ;; esac`;
  return `${alone}
    case $option in
${bashCase(tool).join('\n')}
    esac
    options='${[...names, '--help', '--version'].join(' ')}'
    rest='${argumentOf(tool)}'`;
}

function bashFile(command) {
  const tools = toolsOf(command);
  const isGroup = tools.length > 1;
  const cases = isGroup
    ? `  local sub=\${words[1]}
  ((\${#words[@]} > 2)) || sub=
  case $sub in
  ${tools.map((tool) => `${subOf(command, tool)})${bashTool(tool)}\n    ;;`).join('\n  ')}
  *)
    options='--help --version'
    rest='words ${tools.map((tool) => subOf(command, tool)).join(' ')}'
    ((\${#words[@]} > 2)) && rest=any
    ;;
  esac`
    : bashTool(command);
  return `${NOTE}
# bash: source it, or put it where bash-completion looks for completions/${command}.
${BASH_HELPERS}
_tardis_complete_${command}() {
  local words typed option= value isBehind=0 kind= options= rest=any
  COMPREPLY=()
  __tardis_words
  typed=\${words[-1]}
  value=$typed
  if [[ $typed == --*=* ]]; then
    option=\${typed%%=*} value=\${typed#*=} isBehind=1
  elif ((\${#words[@]} > 2)) && [[ \${words[-2]} == -* ]]; then
    option=\${words[-2]}
  fi
${cases}
  if [[ -n $kind ]]; then
    __tardis_fill "$kind" "$value"
    ((isBehind)) && COMPREPLY=("\${COMPREPLY[@]/#/$option=}")
  elif [[ $typed == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$typed")
  else
    __tardis_fill "$rest" "$typed"
  fi
  __tardis_cut "$typed"
}
complete -F _tardis_complete_${command} ${command}
`;
}

// --- zsh --------------------------------------------------------------------------------------------

const zshQuoted = (text) => text.replaceAll("'", "'\\''").replace(/[[\]:]/g, '\\$&');

function zshAction(kind) {
  const [what, ...rest] = kind.split(' ');
  if (what === 'dirs') return '_files -/';
  if (what === 'files') return '_files';
  // A leading space makes zsh insert the words as they are.
  if (what === 'live') return ` _tardis_live ${rest.join(' ')}`;
  return what === 'words' ? `(${rest.join(' ')})` : ' ';
}

function zshSpecs(tool) {
  const specs = optionsOf(tool).map(({ short, long, takes, isOptional, isList, help }) => {
    const text = `[${zshQuoted(help)}]`;
    const value =
      takes === undefined
        ? ''
        : `${isOptional ? '::' : ':'}${zshQuoted(takes.split(' ').at(0))}:${zshAction(takes)}`;
    const star = isList ? '*' : '';
    const sign = takes === undefined ? '' : isOptional ? '=-' : '=';
    const first = `'${star}--${long}${sign}${text}${value}'`;
    if (short === undefined) return first;
    return `${first} \\\n    '${star}-${short}${takes === undefined ? '' : isOptional ? '-' : '+'}${text}${value}'`;
  });
  return [...specs, `'*:argument:${zshAction(argumentOf(tool))}'`]
    .map((spec) => `    ${spec}`)
    .join(' \\\n');
}

function zshFile(command) {
  const tools = toolsOf(command);
  const live = `_tardis_live() {
  local -a values
  values=("\${(@f)$(sonic complete -- $1 "$PREFIX" "\${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
  values=(\${values:#})
  if [[ $1 == paths ]]; then
    compadd -f -S '' -- "\${(@)values%%$'\\t'*}"
  else
    values=("\${(@)values//(#m)[:\\\\]/\\\\$MATCH}")
    values=("\${(@)values/$'\\t'/:}")
    _describe -t values value values
  fi
}`;
  const body =
    tools.length === 1
      ? `_arguments -s -S \\\n${zshSpecs(command)}`
      : `local -a commands
  if ((CURRENT == 2)); then
    commands=(
${tools.map((tool) => `      '${subOf(command, tool)}:${zshQuoted(HELP[tool].summary)}'`).join('\n')}
    )
    _describe -t commands command commands
    return
  fi
  local sub=$words[2]
  case $sub in
${tools.map((tool) => `  ${subOf(command, tool)}) _arguments -s -S ':command:' \\\n${zshSpecs(tool)} ;;`).join('\n')}
  esac`;
  return `#compdef ${command}
${NOTE}
# zsh: put it into a directory of $fpath as _${command}.

${live}

_${command}() {
  ${body}
}

_${command} "$@"
`;
}

// --- fish -------------------------------------------------------------------------------------------

const fishQuoted = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function fishTakes(kind, isOptional) {
  if (kind === undefined) return '';
  const [what, ...rest] = kind.split(' ');
  const needs = isOptional ? '' : ' -r';
  if (what === 'dirs') return `${needs} -f -a '(__fish_complete_directories (commandline -ct))'`;
  if (what === 'files') return `${needs} -F`;
  if (what === 'live') return `${needs} -f -k -a '(__tardis_live ${rest.join(' ')})'`;
  return what === 'words' ? `${needs} -f -a ${fishQuoted(rest.join(' '))}` : `${needs} -f`;
}

function fishTool(command, tool) {
  const sub = subOf(command, tool);
  const when = sub === undefined ? '' : ` -n '__fish_seen_subcommand_from ${sub}'`;
  const options = optionsOf(tool).map(({ short, long, takes, isOptional, help }) => {
    const one = short === undefined ? '' : ` -s ${short}`;
    return `complete -c ${command}${when}${one} -l ${long}${fishTakes(takes, isOptional)} -d ${fishQuoted(help)}`;
  });
  const rest = argumentOf(tool);
  const argument = rest === 'any' ? [] : [`complete -c ${command}${when}${fishTakes(rest, true)}`];
  return [...options, ...argument];
}

function fishFile(command) {
  const tools = toolsOf(command);
  const subs =
    tools.length === 1
      ? []
      : tools.map(
          (tool) =>
            `complete -c ${command} -n __fish_use_subcommand -f -a ${subOf(command, tool)} -d ${fishQuoted(HELP[tool].summary)}`,
        );
  return `${NOTE}
# fish: put it into ~/.config/fish/completions or a vendor_completions.d directory.

function __tardis_live
    set -l typed (commandline -ct | string replace -r '^--[^=]*=' '')
    sonic complete -- $argv[1] "$typed" (commandline -opc)[2..-1] 2>/dev/null
end

${[`complete -c ${command} -f`, ...subs, ...tools.flatMap((tool) => fishTool(command, tool))].join('\n')}
`;
}

/** Returns every file of completions, and its text. */
export function completions() {
  return COMMANDS.flatMap((command) => [
    { file: `completions/${command}.bash`, text: bashFile(command) },
    { file: `completions/_${command}`, text: zshFile(command) },
    { file: `completions/${command}.fish`, text: fishFile(command) },
  ]);
}
