/** A mistake on the command line. Only its message is printed for the user. */
export class UsageError extends Error {}
