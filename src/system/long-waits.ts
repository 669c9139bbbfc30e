/** Reports that the program waits for something on another machine, so that a user knows why nothing happens. */

let report: (text: string) => void = () => undefined;

/** Sets the function that receives the reports of this thread; before that they are dropped. */
export function onLongWait(listener: (text: string) => void): void {
  report = listener;
}

export function reportLongWait(text: string): void {
  report(text);
}
