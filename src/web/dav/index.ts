export { davNodeAt } from './dav-tree.js';
export { registerDav } from './register-dav.js';
export { propertiesIn } from './propfind-body.js';
