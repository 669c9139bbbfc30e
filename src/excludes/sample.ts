/** A sample filter file. */
export const SAMPLE_FILTER = `# A filter file for tardis --filter-file. Each line is
#
#   file, dir, any or path    accept or reject    a regular expression
#
# The first line that matches decides; what no line matches is left out. The expression is matched at the
# beginning of a name, with path at that of the whole path: write $ where the name must end.

# Build results and editors' copies.
dir     reject   (node_modules|target|__pycache__)$
file    reject   .*\\.(o|pyc|tmp)$
file    reject   .*~$

# One directory, wherever it is.
path    reject   /(.*/)?\\.cache$

# Without this line nothing would be backed up.
any     accept   .*
`;
