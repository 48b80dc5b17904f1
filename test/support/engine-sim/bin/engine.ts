#!/nodejs/bin/node
/** Where the image has the simulator; this file stands in its PATH, under the name of an engine. */
const main: string = '/app/dist/test/support/engine-sim/main.js';
void import(main);
