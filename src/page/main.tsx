/** Starts the page. */
import { render } from 'preact';
import { App } from './components/app.js';
import { t } from './language.js';

document.title = t('product');
render(<App />, document.querySelector('#app')!);
