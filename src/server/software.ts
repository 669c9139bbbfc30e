/** What this server calls itself in greetings and logs. */
export const SOFTWARE = 'tardis-pipeline 0.1.0';
