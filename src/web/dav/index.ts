export { DAV_BASE, registerDav } from './register-dav.js';
export { davNodeAt, type DavNode } from './dav-tree.js';
export { bytesOfUrl, hrefOf } from './dav-paths.js';
export { propertiesIn, type RequestedProperties } from './propfind-body.js';
